import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { DataSource } from 'typeorm';
import { errorCode, SqlState } from './connection/postgres-errors.js';
import { ORCHESTRATOR_DATA_SOURCE } from './tokens.js';

/** A statement that is parsed and planned once per connection, by its name: up to 63 bytes, unique within a pool. */
export interface PreparedStatement {
  readonly name: string;
  readonly text: string;
}

/**
 * A prepared statement whose name tells its text apart: behind a pooler that lends sessions out per transaction, another
 * release, or another schema, may have prepared something else under the same name in the session we are lent.
 */
export function preparedStatement(name: string, text: string): PreparedStatement {
  return { name: `${name}_${createHash('sha256').update(text).digest('hex').slice(0, 12)}`, text };
}

/** What of TypeORM's driver for PostgreSQL, whose type it does not export, is used here. */
interface PooledDriver {
  obtainMasterConnection(): Promise<[client: ClientBase, release: () => void]>;
}

declare const txBrand: unique symbol;

/**
 * An open transaction. Everything that writes asks for one, so that a write outside a transaction does not compile.
 */
export interface Tx {
  readonly [txBrand]: 'Tx';
  /** Runs one statement and gives its rows. */
  query<Row>(statement: string | PreparedStatement, parameters?: readonly unknown[]): Promise<Row[]>;
}

/** Issues a statement that tells others of what was committed. */
export type Hint = (tx: Tx) => Promise<unknown>;

/** Opens transactions at PostgreSQL's default isolation, `read committed`: our statements lock what they depend on. */
@Injectable()
export class Transactions {
  /** Whether a session still knows the next time what was prepared in it; not so behind some poolers. */
  private sessionsRemember = true;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {}

  /**
   * Runs `work` in a transaction of its own: committed when it returns, rolled back when it throws. It holds its locks from
   * statement to statement, however long the event loop takes: not for rows that other processes wait for.
   */
  async run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.withClient(async (client) => {
      await client.query('begin');
      try {
        const result = await work(this.txOf(client));
        await client.query('commit');
        return result;
      } catch (error) {
        // On a connection that is gone the server has rolled back already, and saying so fails as well.
        await client.query('rollback').catch((rollbackError: unknown) => rollbackError);
        throw error;
      }
    });
  }

  /**
   * Runs several statements in a transaction of their own: all of them, or none. They are sent in one go, `commit` included, so
   * that nobody waits for locks of a process whose event loop stands still in between; besides, it is one round trip.
   *
   * @param works issue exactly one statement each, at once, that needs none of the others' answers.
   * @param hint issues one more, right behind the commit, in a transaction of its own. What becomes of it is nobody's
   *   concern: it is sent also where the transaction was rolled back, and whoever hears of it finds nothing then.
   * @throws the error of the statement that failed first.
   */
  async together<T>(works: readonly ((tx: Tx) => Promise<T>)[], hint: Hint | null = null): Promise<T[]> {
    return this.withClient(async (client) => {
      const tx = this.txOf(client);
      // For these alone: everything else waits for its answers anyway.
      const connection = client as unknown as { pipeline: boolean };
      connection.pipeline = true;
      const begun = client.query('begin');
      const results = works.map((work) => work(tx));
      // Where one has failed, the server takes nothing more and makes this a rollback.
      const ended = client.query('commit');
      const hinted = hint?.(tx).catch(() => undefined);
      const settled = await Promise.allSettled([begun, ...results, ended, hinted]);
      connection.pipeline = false;
      for (const one of settled) if (one.status === 'rejected') throw one.reason;
      return Promise.all(results);
    });
  }

  /**
   * Runs `work` without opening a transaction, so that its one statement is one by itself. It costs one round trip where
   * `run` costs three, which is most of what a lone transition takes.
   *
   * @param work issues exactly one statement.
   * @param hint issues one more, right behind it in a transaction of its own: the server comes to it as soon as the first one is
   *   committed. What becomes of it is nobody's concern, and nobody waits for it.
   */
  async single<T>(work: (tx: Tx) => Promise<T>, hint: Hint | null = null): Promise<T> {
    return hint ? this.hinting(work, hint) : this.withClient((client) => work(this.txOf(client)));
  }

  private hinting<T>(work: (tx: Tx) => Promise<T>, hint: Hint): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.withClient(async (client) => {
        const tx = this.txOf(client);
        const connection = client as unknown as { pipeline: boolean };
        connection.pipeline = true;
        const result = work(tx);
        result.then(resolve, reject);
        await Promise.allSettled([result, hint(tx)]);
        connection.pipeline = false;
      }).catch(reject);
    });
  }

  /** With a connection of TypeORM's pool; a query runner around it, which we have no use for, costs time. */
  private async withClient<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    const driver = this.dataSource.driver as unknown as PooledDriver;
    const [client, release] = await driver.obtainMasterConnection();
    try {
      return await work(client);
    } finally {
      release(); // one that broke is thrown away by the pool
    }
  }

  private txOf(client: ClientBase): Tx {
    return {
      query: async <Row>(statement: string | PreparedStatement, parameters: readonly unknown[] = []) => {
        const { text, name } = typeof statement === 'string' ? { text: statement, name: undefined } : statement;
        const named = name !== undefined && this.sessionsRemember;
        try {
          const result = await client.query({ text, ...(named && { name }), values: [...parameters] });
          return result.rows as Row[];
        } catch (error) {
          if (named && FORGETFUL_SESSION.has(errorCode(error) ?? '')) this.sessionsRemember = false;
          throw error;
        }
      },
    } as Tx;
  }
}

/** What a session says that is not the one in which a statement was prepared. */
const FORGETFUL_SESSION: ReadonlySet<string> = new Set([
  SqlState.UnknownPreparedStatement,
  SqlState.DuplicatePreparedStatement,
]);
