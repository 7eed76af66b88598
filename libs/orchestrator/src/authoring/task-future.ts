import { durationMs, type Duration, type StateType } from '@nestor/core';
import { UpstreamError } from '../runtime/engine/engine-errors.js';
import { callAfter } from '../runtime/engine/wait-until.js';
import { WaitTimeoutError } from '../runtime/wait-timeout.error.js';
import type { CallTrace, TracedRun } from '../runtime/registry/call-options.js';
import { RunState } from './run-state.js';

/**
 * A call that was submitted: it is under way, and this is how to get at what it gives. One that fails and that nobody asks
 * takes nothing down. It is no promise, so that it can be handed through asynchronous code without being waited for.
 */
export class TaskFuture<Result = unknown> {
  private readonly settled: Promise<RunState<Result>>;
  private ended: RunState<Result> | null = null;

  /** @internal */
  constructor(
    private readonly trace: CallTrace,
    outcome: Promise<Result>,
  ) {
    this.settled = outcome.then(
      (result) => (this.ended = RunState.ofResult(this.trace.run, result)),
      (error: unknown) => (this.ended = RunState.ofError<Result>(this.trace.run, error)),
    );
  }

  /** The run of the call; `null` while it has none, and for a method that is called without an orchestrator. */
  get runId(): string | null {
    return this.trace.run?.id ?? null;
  }

  /** Which state it is in now; `null` before its first one. */
  get state(): { readonly type: StateType; readonly name: string } | null {
    return this.ended ?? this.trace.run?.state() ?? null;
  }

  /** @internal What it is recognised by when the flow is replayed. */
  get tracedRun(): TracedRun | null {
    return this.trace.run;
  }

  /**
   * Waits for the end, whatever it is; never throws what the call threw.
   *
   * @returns the state it ended in; `null` when it has not within `timeout` (default: no limit).
   */
  async wait({ timeout }: { readonly timeout?: Duration } = {}): Promise<RunState<Result> | null> {
    return timeout === undefined ? this.settled : within(this.settled, durationMs(timeout, 'timeout of a future'));
  }

  /**
   * Waits for the value.
   *
   * @throws what the call threw.
   * @throws {WaitTimeoutError} when it has not ended within `timeout` (default: no limit).
   */
  async result({ timeout }: { readonly timeout?: Duration } = {}): Promise<Result> {
    const state = await this.wait({ ...(timeout !== undefined && { timeout }) });
    if (state) return state.result();
    throw new WaitTimeoutError(this.trace.run?.name ?? 'The call', durationMs(timeout ?? 0, 'timeout of a future'));
  }

  /** Calls `callback` once, when the call has ended; at once when it has. An error inside it is the callback's own affair. */
  onDone(callback: (future: this) => void): void {
    void this.settled.then(() => callback(this));
  }

  /** @internal The value, for a call that waits for it. @throws {UpstreamError} when the call did not complete. */
  async asUpstream(): Promise<Result> {
    const state = await this.settled;
    return resultOfUpstream(state, this.trace.run?.name);
  }
}

/** The futures of calls that were submitted together, in the order of the elements. */
export class TaskFutures<Result> extends Array<TaskFuture<Result>> {
  /**
   * Waits for all of them.
   *
   * @returns what they gave, in the same order.
   * @throws what the first one threw, by order, that failed.
   * @throws {WaitTimeoutError} when one has not ended within `timeout` (default: no limit).
   */
  async results(options: { readonly timeout?: Duration } = {}): Promise<Result[]> {
    await wait(this, options);
    const results: Result[] = [];
    for (const future of this)
      results.push(await future.result({ ...options, ...(options.timeout && { timeout: 0 }) }));
    return results;
  }
}

/** @throws {UpstreamError} when that run did not complete. */
export function resultOfUpstream<Result>(state: RunState<Result>, name = 'a run'): Result {
  if (state.isCompleted) return state.result();
  let cause: unknown;
  try {
    state.result();
  } catch (error) {
    cause = error;
  }
  throw new UpstreamError(name, state.name, cause);
}

/**
 * Waits for several futures.
 *
 * @param options `timeout`: how long at most. Default: until all have ended.
 * @returns those that have ended, and those that have not, each in the order in which they were given.
 */
export async function wait<Future extends TaskFuture>(
  futures: readonly Future[],
  { timeout }: { readonly timeout?: Duration } = {},
): Promise<{ readonly done: readonly Future[]; readonly notDone: readonly Future[] }> {
  const done = new Set<Future>();
  const all = Promise.all(futures.map((future) => future.wait().then(() => done.add(future))));
  if (timeout === undefined) await all;
  else await within(all, durationMs(timeout, 'timeout of wait'));
  return { done: futures.filter((future) => done.has(future)), notDone: futures.filter((future) => !done.has(future)) };
}

/**
 * The futures in the order in which they end.
 *
 * @param options `timeout`: how long the whole may take. Default: no limit.
 * @throws {WaitTimeoutError} when not all have ended by then.
 */
export async function* asCompleted<Future extends TaskFuture>(
  futures: readonly Future[],
  { timeout }: { readonly timeout?: Duration } = {},
): AsyncGenerator<Future, void, undefined> {
  const timeoutMs = timeout === undefined ? null : durationMs(timeout, 'timeout of asCompleted');
  const deadline = timeoutMs === null ? Infinity : performance.now() + timeoutMs;
  const open = new Map(futures.map((future) => [future, future.wait().then(() => future)]));
  while (open.size > 0) {
    const next = Promise.race(open.values());
    const future = deadline === Infinity ? await next : await within(next, Math.max(0, deadline - performance.now()));
    if (!future) throw new WaitTimeoutError(`${open.size} of ${futures.length} calls`, timeoutMs ?? 0);
    open.delete(future);
    yield future;
  }
}

/** What `promise` gives, or `null` when that takes longer. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let stop = (): void => undefined;
  const timer = new Promise<null>((resolve) => (stop = callAfter(ms, () => resolve(null))));
  try {
    return await Promise.race([promise, timer]);
  } finally {
    stop();
  }
}
