import type { TransactionIsolation, TransactionSettings } from '../runtime/transactional/transaction-settings.js';
import { InvalidOptionError } from './resolve-options.js';
import type { TaskOptions } from './task.options.js';

const DEFAULT_DATA_SOURCE = 'default';

const ISOLATION_LEVELS: readonly TransactionIsolation[] = ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'];

/**
 * @throws {InvalidOptionError} when the data source has no name, the isolation level is none of PostgreSQL, or the result is not
 * to be kept: a call without one would be made again.
 */
export function resolvedTransactional(
  { transactional: option, persistResult }: Pick<TaskOptions, 'transactional' | 'persistResult'>,
  place: string,
): TransactionSettings | null {
  if (option === undefined || option === false) return null;
  const given = option === true ? {} : typeof option === 'string' ? { dataSource: option } : option;
  const { dataSource = DEFAULT_DATA_SOURCE, isolation = null } = given;
  if (typeof dataSource !== 'string' || dataSource.trim() === '') {
    throw new InvalidOptionError(place, 'transactional', 'must be true, or name a data source.');
  }
  if (isolation !== null && !ISOLATION_LEVELS.includes(isolation)) {
    const problem = `has the isolation level "${String(isolation)}" and must have one of ${ISOLATION_LEVELS.join(', ')}.`;
    throw new InvalidOptionError(place, 'transactional', problem);
  }
  if (persistResult === false) {
    throw new InvalidOptionError(place, 'persistResult', 'is false, but the task is transactional; choose one.');
  }
  return { dataSource, isolation };
}
