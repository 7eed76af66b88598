import { cancelled, completed, failed, type ProposedState } from '@nestor/core';

/**
 * A state that a method returns in place of a value, to end its run in it. The engine tells it by its shape, as it does the
 * states of other runs that a method returns.
 */
export interface ReturnedState<Result = unknown> extends ProposedState {
  /** What the caller gets. */
  readonly result?: Result;
  /** What the caller is thrown. */
  readonly error?: unknown;
}

/**
 * Ends the run as `COMPLETED` under a name of its own, such as `Skipped`; return it from the method.
 *
 * @param options `name`: default `Completed`. `message`: for people. `result`: what the caller gets; default `undefined`.
 */
export function completedState<Result = undefined>({
  result,
  ...options
}: { readonly name?: string; readonly message?: string; readonly result?: Result } = {}): ReturnedState<Result> {
  return { ...completed(options), ...(result !== undefined && { result }) };
}

/**
 * Ends the attempt as `FAILED` under a name of its own; return it from the method. It is tried again while retries remain.
 *
 * @param options `name`: default `Failed`. `message`: for people. `error`: what the caller is thrown; default
 * `ReturnedStateError` with name and message.
 */
export function failedState({
  error,
  message = 'It ended by returning a failed state.',
  ...options
}: { readonly name?: string; readonly message?: string; readonly error?: unknown } = {}): ReturnedState<never> {
  return { ...failed({ ...options, message }), ...(error !== undefined && { error }) };
}

/** Ends the run as `CANCELLED`, for a run that finds out by itself that it need not go on; return it from the method. */
export function cancelledState({
  message = 'It ended by returning a cancelled state.',
}: { readonly message?: string } = {}): ReturnedState<never> {
  return cancelled({ message });
}
