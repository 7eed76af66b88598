import { AsyncLocalStorage } from 'node:async_hooks';

const NONE: readonly string[] = [];
const scopedTags = new AsyncLocalStorage<readonly string[]>();

/** The tags that runs get which begin here, besides their own. */
export function tagsInScope(): readonly string[] {
  return scopedTags.getStore() ?? NONE;
}

/** Runs `work` so that what begins in it, and in whatever it awaits, gets these tags besides those in scope already. */
export function withTagsInScope<T>(tags: readonly string[], work: () => T): T {
  return scopedTags.run(unionOf(tagsInScope(), tags), work);
}

/** All of them, each once, in the order in which they first come. */
export function unionOf(...lists: readonly (readonly string[])[]): readonly string[] {
  const given = lists.filter(({ length }) => length > 0);
  if (given.length < 2) return given[0] ?? NONE;
  return [...new Set(given.flat())];
}

/** These tags and those in scope. Most runs have neither. */
export function taggedWith(own: readonly string[]): readonly string[] {
  const scoped = tagsInScope();
  if (scoped.length === 0) return own;
  return unionOf(own, scoped);
}
