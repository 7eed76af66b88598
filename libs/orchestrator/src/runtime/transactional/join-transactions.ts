import type { DataSource, QueryRunner, ReplicationMode } from 'typeorm';
import { currentScope } from '../engine/run-scope.js';
import type { AttemptTransaction } from './attempt-transaction.js';

/** By data source that has been made joinable: how to get a query runner of one's own, whatever surrounds the code. */
const own = new WeakMap<DataSource, () => QueryRunner>();

/**
 * Lets code within a transactional task join its transaction, whichever way it goes: repositories, managers, query builders and
 * `query()` all ask the data source for a query runner when they are used without one, and within such a task they get that of
 * the transaction. Anywhere else the data source is as ever.
 *
 * @returns how to get a query runner that has no part in that.
 */
export function joinable(dataSource: DataSource): () => QueryRunner {
  const known = own.get(dataSource);
  if (known) return known;
  const createQueryRunner = dataSource.createQueryRunner.bind(dataSource);
  const { manager } = dataSource;
  const transaction = manager.transaction.bind(manager) as (...args: unknown[]) => Promise<unknown>;

  dataSource.createQueryRunner = (mode?: ReplicationMode) =>
    transactionOf(dataSource)?.queryRunner ?? createQueryRunner(mode);
  manager.transaction = (...args: unknown[]) => {
    const around = transactionOf(dataSource);
    return around ? around.nested(() => transaction(...args)) : transaction(...args);
  };

  const ownRunner = (): QueryRunner => createQueryRunner();
  own.set(dataSource, ownRunner);
  return ownRunner;
}

/** The transaction that the code of a task is in, if it is one of that data source. */
function transactionOf(dataSource: DataSource): AttemptTransaction | null {
  const transaction = currentScope()?.transaction ?? null;
  return transaction?.dataSource === dataSource ? transaction : null;
}
