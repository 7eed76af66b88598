import type { ClientBase } from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import { borrowedSession } from '../../persistence/borrowed-session.js';
import { errorCode, SqlState } from '../../persistence/connection/postgres-errors.js';
import type { Tx } from '../../persistence/transactions.js';
import { callAfter } from '../engine/wait-until.js';
import { Nesting } from './nesting.js';
import { TransactionEndedError, TransactionMisuseError } from './transactional-errors.js';
import type { TransactionIsolation } from './transaction-settings.js';

/** How long a connection may take to roll back before it is thrown away, which the server takes for the same. */
const ROLL_BACK_WITHIN_MS = 2_000;

/** How long the last statement and `commit` may stay unanswered before somebody asks elsewhere what became of them. */
const COMMIT_WITHIN_MS = 10_000;

/** What would end the transaction, of which the outcome of the task is to decide. `rollback to` a savepoint would not. */
const ENDS_TRANSACTION =
  /^\s*(?:commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b/i;

/** What of the driver is used besides its public types. */
interface PostgresRunner {
  releasePostgresConnection(error?: unknown): Promise<void>;
}
type PostgresClient = ClientBase & {
  readonly processID?: number | null;
  getTransactionStatus?(): string | null;
};

interface Session {
  readonly runner: QueryRunner;
  readonly client: PostgresClient;
  /** The same query runner, for the code of the task. */
  readonly guarded: QueryRunner;
}

/**
 * A transaction that the engine begins, on a data source of the application, for one attempt of a task: whatever the code of the
 * attempt asks that data source for goes through its one connection, until the attempt is over.
 */
export class AttemptTransaction {
  private session: Session | null = null;
  private readonly nesting = new Nesting();
  /** Why its code can execute nothing any more; `null` while it can. */
  private ended: string | null = null;
  /** What broke its connection. */
  private broken: Error | null = null;
  /** The last statement of its code that failed. */
  private failure: unknown = null;

  constructor(
    readonly dataSource: DataSource,
    readonly taskRunName: string,
    /** A query runner with a connection of its own, whatever surrounds the code that asks. */
    private readonly openRunner: () => QueryRunner,
  ) {}

  /** @throws {TransactionEndedError} when the attempt is over by then. */
  async begin(isolation: TransactionIsolation | null): Promise<void> {
    this.assertOpen();
    const runner = this.openRunner();
    try {
      const client = (await runner.connect()) as PostgresClient;
      this.assertOpen();
      await runner.startTransaction(isolation ?? undefined);
      this.assertOpen();
      client.on('error', this.onBroken);
      this.session = { runner, client, guarded: this.guarded(runner) };
    } catch (error) {
      await this.letGo(runner, error);
      throw error;
    }
  }

  /**
   * What stands for every query runner within the transaction.
   *
   * @throws {TransactionEndedError} when it has ended.
   */
  get queryRunner(): QueryRunner {
    this.assertOpen();
    return this.opened().guarded;
  }

  /** Runs `work`, which opens a savepoint and closes it again; one after the other. */
  nested<T>(work: () => Promise<T>): Promise<T> {
    return this.nesting.within(work);
  }

  /**
   * Commits what the code of the attempt did, together with what `record` writes as the last statement.
   *
   * @returns `unknown` when the connection was lost, or `commit` failed or was not answered: by then it has
   * been sent, or never will be.
   * @throws what `record` throws, and {@link TransactionMisuseError}; then nothing was committed.
   */
  async commit(record: (tx: Tx) => Promise<void>): Promise<{ readonly kind: 'committed' } | Unknown> {
    const { runner } = this.opened();
    if (this.broken) throw this.broken;
    this.refuseLooseEnds();
    await runner.broadcaster.broadcast('BeforeTransactionCommit');
    this.refuseLooseEnds();
    this.ended = 'its task has returned';

    let isGivenUp = false;
    let stopTimer = (): void => undefined;
    const silence = new Promise<Unknown>((resolve) => {
      stopTimer = callAfter(COMMIT_WITHIN_MS, () => {
        isGivenUp = true;
        resolve({ kind: 'unknown', error: new Error(`commit was not answered within ${COMMIT_WITHIN_MS} ms`) });
      });
    });
    try {
      return await Promise.race([this.recordAndCommit(record, () => isGivenUp), silence]);
    } finally {
      stopTimer();
    }
  }

  private async recordAndCommit(
    record: (tx: Tx) => Promise<void>,
    isGivenUp: () => boolean,
  ): Promise<{ readonly kind: 'committed' } | Unknown> {
    const { runner, client } = this.opened();
    try {
      await record(borrowedSession(client));
    } catch (error) {
      throw errorCode(error) === SqlState.InFailedTransaction ? this.swallowedFailure() : error;
    }
    if (isGivenUp()) throw new TransactionEndedError(this.taskRunName, 'its record was not answered');
    try {
      await runner.query('COMMIT');
    } catch (error) {
      return { kind: 'unknown', error };
    }
    Object.assign(runner, { isTransactionActive: false });
    return { kind: 'committed' };
  }

  /** Gives the connection of a committed transaction back, and tells subscribers of the data source. */
  async finish(): Promise<void> {
    const { runner } = this.opened();
    try {
      await runner.broadcaster.broadcast('AfterTransactionCommit');
    } finally {
      await this.letGo(runner);
    }
  }

  /**
   * Takes back what the code of the attempt did, and ends it: what is still under way is cancelled, and what of the code goes on
   * executes nothing any more. Never rejects.
   */
  async rollBack(reason: string): Promise<void> {
    this.ended ??= reason;
    const { session } = this;
    if (!session || session.runner.isReleased) return;
    let isTooLate = false;
    let stopTimer = (): void => undefined;
    const tooLate = new Promise<void>((resolve) => {
      stopTimer = callAfter(ROLL_BACK_WITHIN_MS, () => {
        isTooLate = true;
        resolve();
      });
    });
    const done = this.unwind(session, () => isTooLate).catch((error: unknown) => this.letGo(session.runner, error));
    await Promise.race([done, tooLate]);
    stopTimer();
    if (isTooLate) await this.abandon(new Error(`no rollback within ${ROLL_BACK_WITHIN_MS} ms`));
  }

  /** Throws the connection away, and with it whatever was not committed. */
  async abandon(error: unknown): Promise<void> {
    if (this.session) await this.letGo(this.session.runner, error ?? new Error('abandoned'));
  }

  private async unwind({ runner, client }: Session, isTooLate: () => boolean): Promise<void> {
    // Its turn would only come when the statement under way is through; and a cancellation that is late must hit nobody else.
    if (this.nesting.statements > 0) await this.cancelStatement(client, isTooLate);
    await runner.broadcaster.broadcast('BeforeTransactionRollback');
    await runner.query('ROLLBACK');
    Object.assign(runner, { isTransactionActive: false });
    await runner.broadcaster.broadcast('AfterTransactionRollback');
    await this.letGo(runner);
  }

  private async cancelStatement({ processID }: PostgresClient, isTooLate: () => boolean): Promise<void> {
    if (typeof processID !== 'number') return;
    const other = this.openRunner();
    try {
      await other.connect();
      if (!isTooLate()) await other.query('select pg_cancel_backend($1)', [processID]);
    } finally {
      await other.release();
    }
  }

  /**
   * The query runner as the code of the task has it: it may do everything but end the transaction, and does not give its
   * connection back, because whoever obtained it believes it to be their own. The real one stays as it is: when the data source
   * is closed, it releases that.
   */
  private guarded(runner: QueryRunner): QueryRunner {
    const query = runner.query.bind(runner) as (text: string, ...rest: unknown[]) => Promise<unknown>;
    const stream = runner.stream.bind(runner) as (text: string, ...rest: unknown[]) => Promise<unknown>;
    const own: Record<string | symbol, unknown> = {
      query: (text: string, ...rest: unknown[]) => this.execute(text, () => query(text, ...rest)),
      stream: (text: string, ...rest: unknown[]) => this.execute(text, () => stream(text, ...rest)),
      release: () => Promise.resolve(),
    };
    const guarded = new Proxy(runner, {
      get: (target, name) => (Object.hasOwn(own, name) ? own[name] : Reflect.get(target, name)) as unknown,
    });
    const manager = this.dataSource.createEntityManager(guarded);
    const transaction = manager.transaction.bind(manager) as (...args: unknown[]) => Promise<unknown>;
    manager.transaction = (...args: unknown[]) => this.nested(() => transaction(...args));
    own.manager = manager;
    return guarded;
  }

  private async execute<T>(text: string, work: () => Promise<T>): Promise<T> {
    this.assertOpen();
    if (ENDS_TRANSACTION.test(text)) {
      const problem = `its code executed "${text.trim().slice(0, 40)}". It ends with the task; throw to roll it back, and use dataSource.transaction() for a part of it.`;
      throw (this.failure = new TransactionMisuseError(this.taskRunName, problem));
    }
    return this.nesting.statement(async () => {
      this.assertOpen();
      try {
        return await work();
      } catch (error) {
        this.failure = error;
        throw error;
      }
    });
  }

  private assertOpen(): void {
    if (this.ended !== null) throw new TransactionEndedError(this.taskRunName, this.ended);
    if (this.broken) throw this.broken;
  }

  /** What is not awaited could be half done by now. */
  private refuseLooseEnds(): void {
    if (this.nesting.isOpen || this.nesting.statements > 0) {
      throw new TransactionMisuseError(
        this.taskRunName,
        'its code returned while a statement of it was under way. Await every one.',
      );
    }
    if (this.opened().client.getTransactionStatus?.() === 'I') {
      throw new TransactionMisuseError(
        this.taskRunName,
        'its code ended it by itself, so that what it wrote stands without its record, or is lost.',
      );
    }
  }

  private swallowedFailure(): TransactionMisuseError {
    const problem =
      'a statement in it failed, after which PostgreSQL takes no other, but its code returned all the same. ' +
      'Let the error through, or execute what may fail in dataSource.transaction(), which is a savepoint here.';
    return new TransactionMisuseError(this.taskRunName, problem, this.failure);
  }

  /** Gives the connection back to the pool; which closes it when something is wrong with it. */
  private async letGo(runner: QueryRunner, error?: unknown): Promise<void> {
    this.session?.client.removeListener('error', this.onBroken);
    await (runner as unknown as PostgresRunner).releasePostgresConnection(error);
  }

  private readonly onBroken = (error: Error): void => void (this.broken ??= error);

  private opened(): Session {
    if (!this.session) throw new TransactionEndedError(this.taskRunName, this.ended ?? 'it has not begun');
    return this.session;
  }
}

/** Whether it was committed has to be found out. */
interface Unknown {
  readonly kind: 'unknown';
  readonly error: unknown;
}
