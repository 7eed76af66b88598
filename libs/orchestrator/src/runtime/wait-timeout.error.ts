import { OrchestratorError } from '@nestor/core';

/** Waiting for a run took longer than was allowed; the run itself goes on. */
export class WaitTimeoutError extends OrchestratorError {
  readonly code = 'WAIT_TIMED_OUT';

  constructor(
    /** What was waited for: `Flow run 0198…`. */
    readonly subject: string,
    readonly waitedMs: number,
    readonly flowRunId: string | null = null,
  ) {
    super(`${subject} did not end within ${waitedMs} ms; it goes on. Wait again, or longer.`);
  }
}
