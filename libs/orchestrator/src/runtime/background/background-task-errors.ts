import { OrchestratorError } from '@nestor/core';

/** There is no background task run of that id: the transaction that put it into the queue was rolled back, or it is of another kind. */
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

/** A task was to be delayed within a transaction, and what was given for it is in none. */
export class NoTransactionError extends OrchestratorError {
  readonly code = 'NO_TRANSACTION';

  constructor(readonly taskKey: string) {
    super(
      `Task "${taskKey}" was to be delayed within a transaction, and the EntityManager or QueryRunner that was given is in ` +
        `none. Give the one that dataSource.transaction(…) hands to its function, or leave the option out.`,
    );
  }
}

/** A task was to be delayed within a transaction of another database than the one in which runs are kept. */
export class OtherDatabaseError extends OrchestratorError {
  readonly code = 'OTHER_DATABASE';

  constructor(
    readonly taskKey: string,
    /** Which one it is, as far as its data source says: `postgres: shop`. */
    readonly otherDatabase: string,
  ) {
    super(
      `Task "${taskKey}" was to be delayed within a transaction of another database (${otherDatabase}) than the one of the ` +
        `orchestrator: one commit cannot be for both. Point both to the same PostgreSQL database ` +
        `(OrchestratorModule.forRoot({ database: { url } })), or delay the task after the commit, without the option.`,
    );
  }
}

/** The role of the data source whose transaction it is may not write to our tables. */
export class QueuePermissionError extends OrchestratorError {
  readonly code = 'QUEUE_PERMISSION';

  constructor(
    readonly role: string,
    /** As SQL has it, quoted. */
    readonly schema: string,
  ) {
    super(
      `Role "${role}" may not put tasks into the queue. As the owner of schema ${schema}: grant usage on schema ${schema} to ` +
        `"${role}"; grant select, insert on ${schema}.task_run, ${schema}.task_run_state, ${schema}.task_queue to "${role}";`,
    );
  }
}
