import { OrchestratorError } from '@nestor/core';

/**
 * There is no background task run of that id: the transaction that put it into the queue was rolled back,
 * or it is of another kind.
 */
export class BackgroundTaskNotFoundError extends OrchestratorError {
  readonly code = 'BACKGROUND_TASK_NOT_FOUND';

  constructor(readonly taskRunId: string) {
    super(
      `There is no background task run ${taskRunId}. If it was delayed within a transaction of yours, that was rolled back.`,
    );
  }
}

/** Something else than the code of the task ended the run: the processes that executed it died, or somebody set its state. */
export class BackgroundTaskCrashedError extends OrchestratorError {
  readonly code = 'BACKGROUND_TASK_CRASHED';

  constructor(
    readonly taskRunId: string,
    readonly reason: string,
  ) {
    super(`Background task run ${taskRunId} did not finish: ${reason}`);
  }
}

/** A background task run is to be tried again or discarded that did not fail for good. */
export class DeadLetterNotFoundError extends OrchestratorError {
  readonly code = 'DEAD_LETTER_NOT_FOUND';

  constructor(readonly taskRunId: string) {
    super(`Task run ${taskRunId} is no dead letter; list those that are with BackgroundTasks.deadLetters().`);
  }
}
