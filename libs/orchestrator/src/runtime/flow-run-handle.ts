import type { Duration } from '@nestor/core';
import type { FlowRuns } from './flow-runs.service.js';

/** A run that was started: its id, and a way to its end. */
export class FlowRunHandle<Result> {
  /** @internal */
  constructor(
    readonly id: string,
    /** What people call it. */
    readonly name: string,
    private readonly flowRuns: FlowRuns,
    private readonly mayStillCome: () => boolean = () => false,
  ) {}

  /**
   * Waits until the run has ended. Within the transaction in which it was enqueued that waits for ever: the run is executed after
   * the commit.
   *
   * @returns what the flow returned, as it was recorded.
   * @throws what the flow threw, as it was recorded, and the other errors of {@link FlowRuns.result}.
   * @throws {FlowRunNotFoundError} when the transaction in which it was enqueued was rolled back.
   */
  result(options: { readonly timeout?: Duration } = {}): Promise<Result> {
    return this.flowRuns.resultOnceThere(this.id, options, this.mayStillCome) as Promise<Result>;
  }
}
