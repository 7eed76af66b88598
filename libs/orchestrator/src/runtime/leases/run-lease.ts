import { OrchestratorError } from '@nestor/core';

/**
 * Another process may execute the run by now: this one was cut off from the database, or stopped, for so long that it was
 * taken for dead. Nothing of what the code of the run still does here is recorded.
 */
export class LeaseLostError extends OrchestratorError {
  readonly code = 'LEASE_LOST';

  /** @param flowRunId `null` for a task that was called outside any flow. */
  constructor(readonly flowRunId: string | null) {
    super(
      flowRunId === null
        ? 'This process was taken for dead while it executed the task, which therefore counts as crashed. What the code ' +
            'here still does is not recorded.'
        : `This process no longer executes flow run ${flowRunId}: it was taken for dead, and another one may go on with the ` +
            `run. What the code here still does is not recorded; look the run up for its outcome.`,
    );
  }
}

/**
 * The right of this process to write a root flow run and everything below it; or, where it names no run, what belongs to no
 * flow run.
 */
export class RunLease {
  /** Why it is no longer held, which whoever called the run gets; `null` while it is held. */
  lost: Error | null = null;
  /** Told once, when it is lost. */
  onLost: ((error: Error) => void) | null = null;

  constructor(
    readonly rootFlowRunId: string | null,
    readonly epoch: number,
  ) {}

  /** @param why by default that another process may execute the run by now. */
  lose(why: Error = new LeaseLostError(this.rootFlowRunId)): void {
    if (this.lost) return;
    this.lost = why;
    this.onLost?.(why);
  }
}

/** What a caller gets whose entry was not written; without a lease that happens to entries of a leased run only. */
export function lostLease(lease: RunLease | null): Error {
  return lease?.lost ?? new Error('A lease was lost that nobody held.');
}
