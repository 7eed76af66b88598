import type { Duration, State } from '@nestor/core';
import { BackgroundTaskNotFoundError } from './background-task-errors.js';
import type { BackgroundTaskOutcomes } from './background-task-outcomes.js';

/** A task that was delayed: the id of its run, and a way to its end. */
export class BackgroundTaskHandle<Result = unknown> {
  /** @internal */
  constructor(
    readonly taskRunId: string,
    private readonly outcomes: BackgroundTaskOutcomes,
    private readonly mayStillCome: () => boolean = () => false,
  ) {}

  /**
   * The state the run is in now; `null` as long as the transaction in which it was delayed is not committed.
   *
   * @throws {BackgroundTaskNotFoundError} when that was rolled back.
   */
  async state(): Promise<State | null> {
    const mayStillCome = this.mayStillCome();
    const state = await this.outcomes.state(this.taskRunId);
    if (state === null && !mayStillCome) throw new BackgroundTaskNotFoundError(this.taskRunId);
    return state;
  }

  /**
   * Waits until the run has ended, wherever it is executed; in another process that is noticed within a second. Within the
   * transaction in which it was delayed that waits for ever: the run is executed after the commit.
   *
   * @returns what the task returned, as it was recorded.
   * @throws what the task threw last, as it was recorded.
   * @throws {BackgroundTaskCrashedError} when something else than its own code ended it.
   * @throws {MissingResultError} when its result was not kept.
   * @throws {BackgroundTaskNotFoundError} when the transaction in which it was delayed was rolled back.
   * @throws {WaitTimeoutError} when it has not ended within `timeout` (default: no limit); it goes on.
   */
  result({ timeout }: { readonly timeout?: Duration } = {}): Promise<Result> {
    const options = { ...(timeout !== undefined && { timeout }), mayStillCome: this.mayStillCome };
    return this.outcomes.result(this.taskRunId, options) as Promise<Result>;
  }
}
