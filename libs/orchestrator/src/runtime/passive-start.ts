import { AsyncLocalStorage } from 'node:async_hooks';

const passive = new AsyncLocalStorage<true>();

/**
 * Starts an application that is only looked into: it joins no other processes, changes no schema, registers nothing, runs no loop
 * and takes no calls. What its other providers do when they start, they do.
 */
export function startPassively<T>(start: () => Promise<T>): Promise<T> {
  return passive.run(true, start);
}

/** Whether the application that starts right now is only looked into. */
export function isPassive(): boolean {
  return passive.getStore() === true;
}
