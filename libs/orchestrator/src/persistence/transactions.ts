import { Inject, Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { DataSource } from 'typeorm';
import { ORCHESTRATOR_DATA_SOURCE } from './tokens.js';

/** A statement that is parsed and planned once per connection, by its name: up to 63 bytes, unique within a pool. */
export interface PreparedStatement {
  readonly name: string;
  readonly text: string;
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

/** Opens transactions at PostgreSQL's default isolation, `read committed`: our statements lock what they depend on. */
@Injectable()
export class Transactions {
  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {}

  /** Runs `work` in a transaction of its own: committed when it returns, rolled back when it throws. */
  async run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.withClient(async (client) => {
      await client.query('begin');
      try {
        const result = await work(txOf(client));
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
   * Runs `work` without opening a transaction, so that its one statement is one by itself. It costs one round trip where
   * `run` costs three, which is most of what a lone transition takes.
   *
   * @param work issues exactly one statement.
   */
  async single<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.withClient((client) => work(txOf(client)));
  }

  private async withClient<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    const client = (await runner.connect()) as ClientBase;
    try {
      return await work(client);
    } finally {
      await runner.release();
    }
  }
}

function txOf(client: ClientBase): Tx {
  return {
    async query<Row>(statement: string | PreparedStatement, parameters: readonly unknown[] = []): Promise<Row[]> {
      const config = typeof statement === 'string' ? { text: statement } : statement;
      const result = await client.query({ ...config, values: [...parameters] });
      return result.rows as Row[];
    },
  } as Tx;
}
