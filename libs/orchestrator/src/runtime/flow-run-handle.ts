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
  ) {}

  /**
   * Waits until the run has ended.
   *
   * @returns what the flow returned, as it was recorded.
   * @throws what the flow threw, as it was recorded, and the other errors of {@link FlowRuns.result}.
   */
  result(options: { readonly timeout?: Duration } = {}): Promise<Result> {
    return this.flowRuns.result(this.id, options) as Promise<Result>;
  }
}
