import { OrchestratorError } from '@nestor/core';
import { currentScope, withScope } from '../runtime/engine/run-scope.js';

/** `concurrency` of `mapTasks` is not a whole number from 1. */
export class InvalidConcurrencyError extends OrchestratorError {
  readonly code = 'INVALID_CONCURRENCY';

  constructor(readonly concurrency: number) {
    super(`The concurrency of mapTasks is ${concurrency}; it must be a whole number from 1, or Infinity.`);
  }
}

export interface MapTasksOptions {
  /** How many items are worked on at a time. Default: all at once. */
  readonly concurrency?: number;
}

/**
 * Calls `fn` for every item, a bounded number at a time, and gives the results in the order of the items.
 *
 * What `fn` calls for one item is told apart from what it calls for another, however the calls interleave. When one
 * fails, no further item is begun; those under way are waited for, and then the first failure is thrown. Outside a run
 * it is an ordinary mapping.
 *
 * @example `const sizes = await mapTasks(files, (file) => this.sizeOf(file), { concurrency: 8 });`
 * @throws {InvalidConcurrencyError} when `concurrency` is no whole number from 1.
 */
export async function mapTasks<Item, Result>(
  items: Iterable<Item>,
  fn: (item: Item, index: number) => Promise<Result>,
  { concurrency = Infinity }: MapTasksOptions = {},
): Promise<Result[]> {
  if (concurrency !== Infinity && (!Number.isInteger(concurrency) || concurrency < 1)) {
    throw new InvalidConcurrencyError(concurrency);
  }
  const list = [...items];
  const queue = list.entries();
  const results: Result[] = [];
  const failures: unknown[] = [];
  const callInBranch = inBranches();

  const work = async (): Promise<void> => {
    for (const [index, item] of queue) {
      try {
        results[index] = await callInBranch(index, () => fn(item, index));
      } catch (error) {
        failures.push(error);
      }
      if (failures.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, list.length) }, work));
  if (failures.length > 0) throw failures[0];
  return results;
}

/** Gives each item a branch of the current run, so that the calls made for it have keys of their own. */
function inBranches(): <T>(index: number, call: () => Promise<T>) => Promise<T> {
  const scope = currentScope();
  if (!scope) return (_, call) => call();
  return (index, call) => withScope(scope.within(scope.branch.item(index)), call);
}
