import { OrchestratorError, type Duration } from '@nestor/core';
import type { FlowRunHandle } from './flow-run-handle.js';

/** A flow that is called with a list has to return one as long: what each of its callers gets. */
export class BatchResultError extends OrchestratorError {
  readonly code = 'BATCH_RESULT';

  constructor(
    readonly flowRunId: string,
    problem: string,
  ) {
    super(
      `Flow run ${flowRunId} was called with a list, and ${problem}; return a list with a result for each item, in their order.`,
    );
  }
}

/** A call that was put together with others into one run. */
export class BatchedCall<Result> {
  /** @internal */
  constructor(
    /** The run, which returns what all of its callers get. */
    readonly run: FlowRunHandle<readonly Result[]>,
    /** The place of this call in the list with which the run is called. */
    readonly index: number,
  ) {}

  /**
   * Waits until the run has ended.
   *
   * @returns what the flow returned for this call.
   * @throws what the flow threw, as it was recorded, and the other errors of `FlowRuns.result`.
   * @throws {BatchResultError} when it returned nothing for this call.
   */
  async result(options: { readonly timeout?: Duration } = {}): Promise<Result> {
    const results: unknown = await this.run.result(options);
    if (!Array.isArray(results)) throw new BatchResultError(this.run.id, 'returned no list');
    if (this.index >= results.length) {
      throw new BatchResultError(this.run.id, `returned ${results.length} results, none for item ${this.index}`);
    }
    return results[this.index] as Result;
  }
}
