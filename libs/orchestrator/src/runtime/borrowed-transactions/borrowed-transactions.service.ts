import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, type EntitySubscriberInterface, type QueryRunner } from 'typeorm';
import { databaseIdentity } from '../../persistence/connection/database-identity.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { NoTransactionError, OtherDatabaseError, QueuePermissionError } from './borrowed-transaction-errors.js';

/** A transaction that the application has begun, and ends, and in which statements of ours may be issued. */
export interface BorrowedTransaction {
  query<Row>(statement: string, parameters: readonly unknown[]): Promise<Row[]>;
  /** Whether it is neither committed nor rolled back yet. */
  readonly isOpen: boolean;
  /** Calls `then` once, after it was committed; or not at all, where TypeORM does not know of the commit. */
  afterCommit(then: () => void): void;
}

/** Lets statements of ours be part of transactions of the application, whose data sources are not ours. */
@Injectable()
export class BorrowedTransactions {
  /** Data sources that were found to lead to our database, and which of our tables they have the rights to write to. */
  private readonly fitting = new WeakMap<DataSource, Set<readonly string[]>>();

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly ours: DataSource) {}

  /**
   * The transaction of an EntityManager or QueryRunner, once it is known that our tables are within its reach.
   *
   * @param subject what it is for, for messages: `task "Mails.send"`.
   * @param tables ours that are written to.
   * @throws {NoTransactionError} when it is in none.
   * @throws {OtherDatabaseError} when it is one of another database.
   * @throws {QueuePermissionError} when its role may not write there. In all these cases it goes on as if nothing had been asked.
   */
  async open(
    given: EntityManager | QueryRunner,
    subject: string,
    tables: readonly string[],
  ): Promise<BorrowedTransaction> {
    const runner = runnerOf(given);
    if (!runner?.isTransactionActive || runner.isReleased) throw new NoTransactionError(subject);
    const { dataSource } = runner;
    const known = this.fitting.get(dataSource) ?? new Set();
    if (!known.has(tables)) {
      await this.check(runner, subject, tables);
      this.fitting.set(dataSource, known.add(tables));
    }
    return {
      query: <Row>(statement: string, parameters: readonly unknown[]) =>
        runner.query(statement, [...parameters]) as Promise<Row[]>,
      get isOpen() {
        return runner.isTransactionActive;
      },
      afterCommit: (then) => commitsOf(dataSource).await(runner, then),
    };
  }

  /** Asks nothing that can fail: a statement that does would take the whole transaction with it. */
  private async check(runner: QueryRunner, subject: string, tables: readonly string[]): Promise<void> {
    const { type, database } = runner.dataSource.options;
    const address = `${type}: ${String(database)}`;
    if (type !== 'postgres') throw new OtherDatabaseError(subject, address);
    const [own, theirs] = await Promise.all([databaseIdentity(this.ours), databaseIdentity(runner)]);
    if (own !== theirs) throw new OtherDatabaseError(subject, address);
    const schema = schemaOf(this.ours);
    const [rights] = (await runner.query(RIGHTS, [schema.slice(1, -1), tables])) as {
      role: string;
      suffice: boolean;
    }[];
    if (rights && !rights.suffice) throw new QueuePermissionError(rights.role, schema, tables);
  }
}

/** By their ids: a name in a schema that one may not look into is an error. */
const RIGHTS = `
  select current_user::text as role,
         coalesce(bool_and(has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
                           and has_table_privilege(c.oid, 'insert')), false) as suffice
    from pg_namespace n
    join pg_class c on c.relnamespace = n.oid and c.relname = any($2::text[])
   where n.nspname = $1`;

function runnerOf(given: EntityManager | QueryRunner): QueryRunner | undefined {
  return 'isTransactionActive' in given ? given : given.queryRunner;
}

/** Hears of the commits of a data source of the application. */
class Commits implements EntitySubscriberInterface {
  private readonly waiting = new WeakMap<QueryRunner, (() => void)[]>();

  await(runner: QueryRunner, then: () => void): void {
    this.waiting.set(runner, [...(this.waiting.get(runner) ?? []), then]);
  }

  afterTransactionCommit({ queryRunner }: { readonly queryRunner: QueryRunner }): void {
    if (queryRunner.isTransactionActive) return; // a savepoint was let go
    this.settle(queryRunner, true);
  }

  afterTransactionRollback({ queryRunner }: { readonly queryRunner: QueryRunner }): void {
    if (!queryRunner.isTransactionActive) this.settle(queryRunner, false);
  }

  private settle(runner: QueryRunner, isCommitted: boolean): void {
    const told = this.waiting.get(runner) ?? [];
    this.waiting.delete(runner);
    if (isCommitted) for (const tell of told) tell();
  }
}

const commits = new WeakMap<DataSource, Commits>();

function commitsOf(dataSource: DataSource): Commits {
  let own = commits.get(dataSource);
  if (!own) {
    own = new Commits();
    dataSource.subscribers.push(own);
    commits.set(dataSource, own);
  }
  return own;
}
