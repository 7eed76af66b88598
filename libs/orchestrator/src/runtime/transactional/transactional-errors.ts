import { OrchestratorError } from '@nestor/core';

/** How a data source is called in messages. */
function named(dataSource: string): string {
  return dataSource === 'default' ? 'the default data source' : `data source "${dataSource}"`;
}

/** What stands in the way of tasks that are to run in transactions of a data source; found when the application starts. */
export abstract class TransactionalDataSourceError extends OrchestratorError {
  constructor(
    /** The name of the data source, `default` for the one without a name. */
    readonly dataSource: string,
    /** The task that asks for it: `Class.method`. */
    readonly place: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${place} is to run in transactions of ${named(dataSource)}, ${problem}`, options);
  }
}

/** A transactional task names a TypeORM data source that the application does not have, or has not opened yet when it starts. */
export class TransactionalDataSourceMissingError extends TransactionalDataSourceError {
  readonly code = 'TRANSACTIONAL_DATA_SOURCE_MISSING';

  constructor(dataSource: string, place: string, cause?: unknown) {
    super(
      dataSource,
      place,
      `which is not there, or not open, when the application starts: import TypeOrmModule.forRoot(…) for it, and name it ` +
        `as there: @Task({ transactional: 'name' }).`,
      { cause },
    );
  }
}

/** A transactional task names a data source that is no PostgreSQL database, so that its record cannot be written in there. */
export class TransactionalDataSourceTypeError extends TransactionalDataSourceError {
  readonly code = 'TRANSACTIONAL_DATA_SOURCE_TYPE';

  constructor(
    dataSource: string,
    place: string,
    readonly type: string,
  ) {
    super(dataSource, place, `which is of type "${type}": only "postgres" can hold the record of the task as well.`);
  }
}

/**
 * A transactional task names a data source on another database than the one that holds the runs. One transaction cannot span
 * both, so writes and record could not be committed together.
 */
export class TransactionalDataSourceElsewhereError extends TransactionalDataSourceError {
  readonly code = 'TRANSACTIONAL_DATA_SOURCE_ELSEWHERE';

  constructor(dataSource: string, place: string) {
    super(
      dataSource,
      place,
      `which is another database than the one that holds the runs. Let OrchestratorModule use the same one (option ` +
        `database.url; it keeps to a schema of its own), or make the task an ordinary one.`,
    );
  }
}

/** The role of a data source may not write the records of transactional tasks. */
export class TransactionalDataSourceDeniedError extends TransactionalDataSourceError {
  readonly code = 'TRANSACTIONAL_DATA_SOURCE_DENIED';

  constructor(
    dataSource: string,
    place: string,
    /** The schema of the records, quoted. */
    readonly schema: string,
    cause: unknown,
  ) {
    super(
      dataSource,
      place,
      `whose role cannot write records (${cause instanceof Error ? cause.message : String(cause)}). Grant it what that takes: ` +
        `GRANT USAGE ON SCHEMA ${schema}; GRANT SELECT, INSERT, UPDATE ON ${schema}.task_run, ${schema}.task_run_state; ` +
        `GRANT SELECT, UPDATE ON ${schema}.process, ${schema}.flow_run; GRANT INSERT ON ${schema}.owed_hooks; ` +
        `GRANT SELECT, UPDATE, DELETE ON ${schema}.task_queue.`,
      { cause },
    );
  }
}

/**
 * A statement of a transactional task after its transaction had ended: the task had returned, failed, timed out, or been cut
 * off, or its connection was lost, while code of it went on. Nothing was executed.
 */
export class TransactionEndedError extends OrchestratorError {
  readonly code = 'TRANSACTION_ENDED';

  constructor(
    readonly taskRunName: string,
    /** Why it has ended. */
    readonly reason: string,
  ) {
    super(
      `The transaction of "${taskRunName}" has ended (${reason}); code of it that is still running can execute no more ` +
        `statements on its data source. Await everything that belongs to the task within it.`,
    );
  }
}

/**
 * What the code of a transactional task did to its transaction makes it impossible to commit it as a
 * whole. It is rolled back.
 */
export class TransactionMisuseError extends OrchestratorError {
  readonly code = 'TRANSACTION_MISUSED';

  constructor(
    readonly taskRunName: string,
    /** What was done, and what to do instead. */
    readonly problem: string,
    cause?: unknown,
  ) {
    super(`The transaction of "${taskRunName}" cannot be committed: ${problem}`, cause === undefined ? {} : { cause });
  }
}

/**
 * A transactional task called a task or a flow. What that does would be recorded by itself, whatever becomes of the transaction.
 * Nothing was executed.
 */
export class CallInTransactionError extends OrchestratorError {
  readonly code = 'CALL_IN_TRANSACTION';

  constructor(
    readonly taskRunName: string,
    /** What was called: `task "Orders.ship"`. */
    readonly called: string,
  ) {
    super(
      `"${taskRunName}" is a transactional task and called ${called}, whose record would not depend on the transaction. ` +
        `Call it from the flow, or move what it does into an ordinary method that both call.`,
    );
  }
}
