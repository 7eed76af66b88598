import { OrchestratorError, type ProposedState } from '@nestor/core';

/** A flow or task took longer than its `timeout`. */
export class RunTimeoutError extends OrchestratorError {
  readonly code = 'RUN_TIMED_OUT';

  constructor(
    readonly runName: string,
    readonly timeoutMs: number,
  ) {
    super(`"${runName}" did not finish within its timeout of ${timeoutMs} ms.`);
  }
}

/** A flow or task ended by returning a state that is no success. */
export class ReturnedStateError extends OrchestratorError {
  readonly code = 'RETURNED_STATE';
  readonly stateType: string;
  readonly stateName: string;

  constructor(
    readonly runName: string,
    { type, name, message }: Pick<ProposedState, 'type' | 'name' | 'message'>,
  ) {
    super(`"${runName}" ended as ${name === '' ? type : name}${message === null ? '.' : `: ${message}`}`);
    this.stateType = type;
    this.stateName = name;
  }
}

/**
 * A call from an attempt that is over: it timed out, or its run ended, while its code went on. Nothing was executed and
 * nothing was written.
 */
export class RunEndedError extends OrchestratorError {
  readonly code = 'RUN_ENDED';

  constructor(
    readonly runName: string,
    /** Why the attempt is over. */
    readonly reason: string,
  ) {
    super(`"${runName}" has ended (${reason}); code of it that is still running can start no more tasks or flows.`);
  }
}

/** The flow run was cancelled by somebody else while it ran. */
export class RunCancelledError extends OrchestratorError {
  readonly code = 'RUN_CANCELLED';

  constructor(readonly flowRunId: string) {
    super(`Flow run ${flowRunId} was cancelled.`);
  }
}

/** Something else than its own code ended the flow run: the process that ran it stopped, or somebody set its state. */
export class RunCrashedError extends OrchestratorError {
  readonly code = 'RUN_CRASHED';

  constructor(
    readonly flowRunId: string,
    readonly reason: string,
  ) {
    super(`Flow run ${flowRunId} did not finish: ${reason}`);
  }
}

/** The run completed, and its result was not kept: it has `persistResult: false`, or somebody set its state by hand. */
export class MissingResultError extends OrchestratorError {
  readonly code = 'RESULT_MISSING';

  constructor(readonly runId: string) {
    super(
      `Run ${runId} completed, and its result was not kept: persistResult is false for it, or its state was set by hand.`,
    );
  }
}

/** The run has not ended, so it has no result yet. */
export class UnfinishedRunError extends OrchestratorError {
  readonly code = 'RUN_UNFINISHED';

  constructor(
    readonly flowRunId: string,
    readonly stateName: string,
  ) {
    super(`Flow run ${flowRunId} has not ended: it is ${stateName}. Wait for it with FlowRuns.result().`);
  }
}

/** The run is paused, so it has no result until somebody resumes it. */
export class PausedRunError extends OrchestratorError {
  readonly code = 'RUN_PAUSED';

  constructor(readonly flowRunId: string) {
    super(`Flow run ${flowRunId} is paused; it goes on when somebody resumes it.`);
  }
}

/** The application is shutting down and starts nothing new. */
export class EngineStoppingError extends OrchestratorError {
  readonly code = 'ENGINE_STOPPING';

  constructor(readonly place: string) {
    super(
      `The application is shutting down; ${place} was not started. Call it again on another node, or after the restart.`,
    );
  }
}

/**
 * The application shut down before the run had ended. The run is not lost: another process, or this one after its restart,
 * goes on with it from what is recorded.
 */
export class RunHandedBackError extends OrchestratorError {
  readonly code = 'RUN_HANDED_BACK';

  constructor(readonly flowRunId: string) {
    super(
      `The application shut down before flow run ${flowRunId} had ended. The run goes on in another process, or in this ` +
        `one after its restart; wait for it with FlowRuns.result().`,
    );
  }
}

/** The run left its process: it was suspended and goes on when somebody resumes it, or sleeps and goes on when that is over. */
export class RunSuspendedError extends OrchestratorError {
  readonly code = 'RUN_SUSPENDED';

  constructor(readonly flowRunId: string) {
    super(
      `Flow run ${flowRunId} has left its process; it goes on when somebody resumes it, or when it has slept. ` +
        `Wait for it with FlowRuns.result().`,
    );
  }
}

/**
 * A task that must run at most once (`recordStart`) was running when its process died. Whether it did what it does cannot
 * be known from here, so it is not run again.
 */
export class OutcomeUnknownError extends OrchestratorError {
  readonly code = 'OUTCOME_UNKNOWN';

  constructor(readonly taskRunName: string) {
    super(
      `"${taskRunName}" was running when its process died, and is to run at most once: whether it did its work is unknown. ` +
        `Find out, and restart the flow run from there.`,
    );
  }
}

/** A call waits for another one that did not complete, so it was not made: its run stays `PENDING`, named `NotReady`. */
export class UpstreamError extends OrchestratorError {
  readonly code = 'UPSTREAM_NOT_COMPLETED';

  constructor(
    readonly upstreamName: string,
    readonly stateName: string,
    cause: unknown,
  ) {
    super(
      `It waits for "${upstreamName}", which is ${stateName}. Pass allowFailure(…) to get the error instead of stopping here.`,
      { cause },
    );
  }
}

/** `currentRun()` was called outside any flow or task. */
export class NoCurrentRunError extends OrchestratorError {
  readonly code = 'NO_CURRENT_RUN';

  constructor() {
    super(
      'There is no current run here; currentRun() works inside methods decorated with @Flow() or @Task(), and what they await.',
    );
  }
}
