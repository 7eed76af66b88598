/** A work pool that executes no more than so many runs at once. */
export const POOL = 'pool';
export const POOL_LIMIT = 12;

/** Queues of it, besides its default queue. */
export const QUEUES = [
  { name: 'narrow', limit: 3 },
  { name: 'wide', limit: null },
] as const;
