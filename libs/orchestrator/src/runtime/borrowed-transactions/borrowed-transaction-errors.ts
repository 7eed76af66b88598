import { OrchestratorError } from '@nestor/core';

/** A run was to be enqueued within a transaction, and what was given for it is in none. */
export class NoTransactionError extends OrchestratorError {
  readonly code = 'NO_TRANSACTION';

  constructor(
    /** What was to be enqueued: `task "Mails.send"`. */
    readonly subject: string,
  ) {
    super(
      `A run of ${subject} was to be enqueued within a transaction, and the EntityManager or QueryRunner that was given is in ` +
        `none. Give the one that dataSource.transaction(…) hands to its function, or leave the option out.`,
    );
  }
}

/** A run was to be enqueued within a transaction of another database than the one in which runs are kept. */
export class OtherDatabaseError extends OrchestratorError {
  readonly code = 'OTHER_DATABASE';

  constructor(
    /** What was to be enqueued: `task "Mails.send"`. */
    readonly subject: string,
    /** Which one it is, as far as its data source says: `postgres: shop`. */
    readonly otherDatabase: string,
  ) {
    super(
      `A run of ${subject} was to be enqueued within a transaction of another database (${otherDatabase}) than the one of the ` +
        `orchestrator: one commit cannot be for both. Point both to the same PostgreSQL database ` +
        `(OrchestratorModule.forRoot({ database: { url } })), or enqueue it after the commit, without the option.`,
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
    tables: readonly string[],
  ) {
    super(
      `Role "${role}" may not enqueue runs. As the owner of schema ${schema}: grant usage on schema ${schema} to ` +
        `"${role}"; grant select, insert on ${tables.map((table) => `${schema}.${table}`).join(', ')} to "${role}";`,
    );
  }
}
