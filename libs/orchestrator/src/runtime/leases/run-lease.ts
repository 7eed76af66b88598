import { OrchestratorError } from '@nestor/core';

/**
 * Another process may execute the run by now: this one was cut off from the database, or stopped, for so long that it was
 * taken for dead. Nothing of what the code of the run still does here is recorded.
 */
export class LeaseLostError extends OrchestratorError {
  readonly code = 'LEASE_LOST';

  constructor(readonly flowRunId: string) {
    super(
      `This process no longer executes flow run ${flowRunId}: it was taken for dead, and another one may go on with the ` +
        `run. What the code here still does is not recorded; look the run up for its outcome.`,
    );
  }
}

/** The right of this process to write a root flow run and everything below it. */
export class RunLease {
  /** Why it is no longer held; `null` while it is. */
  lost: LeaseLostError | null = null;
  /** Told once, when it is lost. */
  onLost: ((error: LeaseLostError) => void) | null = null;

  constructor(
    readonly rootFlowRunId: string,
    readonly epoch: number,
  ) {}

  lose(): void {
    if (this.lost) return;
    this.lost = new LeaseLostError(this.rootFlowRunId);
    this.onLost?.(this.lost);
  }
}
