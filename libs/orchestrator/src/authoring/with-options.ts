import { currentScope } from '../runtime/engine/run-scope.js';
import type { CallTrace } from '../runtime/registry/call-options.js';
import { callView, resolvedChanges, type CallChanges } from './call-view.js';
import { RunState } from './run-state.js';
import type { TaskFuture } from './task-future.js';
import { upstreamOf } from './upstream.js';

/** Options of one call. */
export interface WithOptions extends CallChanges {
  /** What has to complete before this begins, besides its arguments. If one does not, this is never run: see `submit`. */
  readonly waitFor?: readonly (TaskFuture | RunState)[];
  /** Whether the call gives the state it ended in, in place of its value, and throws nothing that it threw. Default `false`. */
  readonly returnState?: boolean;
}

/** A provider whose flows and tasks give states; what is none of them is `never`. */
export type ReturningStates<T> = { readonly [Key in keyof T]: ReturningState<T[Key]> };

type ReturningState<Method> = Method extends (...args: infer Args) => Promise<infer Result>
  ? (...args: Args) => Promise<RunState<Result>>
  : never;

/**
 * The same provider, with other options for the flows and tasks that are called through it. The provider itself, and what its
 * methods call in turn, stay as they are.
 *
 * @example
 * ```ts
 * await withOptions(this, { retries: 5, tags: ['slow'] }).fetchPage(url);
 * const state = await withOptions(this, { returnState: true }).fetchPage(url);
 * if (state.isFailed) …
 * ```
 * @throws {InvalidOptionError} and its like when an option cannot be meant.
 */
export function withOptions<T extends object>(
  provider: T,
  options: WithOptions & { readonly returnState: true },
): ReturningStates<T>;
export function withOptions<T extends object>(provider: T, options: WithOptions & { readonly returnState?: false }): T;
export function withOptions(provider: object, { waitFor = [], returnState = false, ...changes }: WithOptions): object {
  const resolved = resolvedChanges(changes, 'withOptions');
  return callView(provider, 'withOptions', (call, args) => {
    const trace: CallTrace | null = returnState ? { run: null } : null;
    const outcome = call(args, { ...resolved, trace, upstream: upstreamOf([], waitFor) && upstreamOf(args, waitFor) });
    return trace ? stateOf(trace, outcome) : outcome;
  });
}

/** What the caller is not there to see any more, because it is over itself, is thrown all the same. */
async function stateOf(trace: CallTrace, outcome: Promise<unknown>): Promise<RunState> {
  const caller = currentScope()?.attempt;
  try {
    return RunState.ofResult(trace.run, await outcome);
  } catch (error) {
    if (caller?.ended) throw error;
    return RunState.ofError(trace.run, error);
  }
}
