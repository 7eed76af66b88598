import type { Client } from 'pg';
import type { DataSource } from 'typeorm';
import { SchemaNotMigratedError, SchemaPermissionError } from '../connection/database-errors.js';
import { errorCode, SqlState } from '../connection/postgres-errors.js';
import type { SchemaLevels } from './schema-levels.js';
import { appliedMigrations, CODE_LEVEL, usableLevel } from './schema-state.js';

/** Partitions exist at least this far ahead; a process that runs on keeps it so (`Housekeeping`). */
const PARTITIONS_AHEAD = `interval '3 weeks'`;

/**
 * A new partition needs the default one to itself for a moment. Whoever asks for that holds up all who come after, so it
 * does not ask for long: a backup reads every table for as long as it takes.
 */
const LOCK_TIMEOUT = '3s';

/** Each takes the server a second to notice. */
const MAX_DEADLOCKS = 5;

/**
 * Brings the schema up to this code, once, however many processes start together: whoever holds the advisory lock
 * migrates, the others wait and find nothing left to do. A schema that is up to date costs no lock.
 *
 * @param client a session of its own: the lock belongs to a transaction of it.
 * @param log told when everything is in place but the partitions of weeks to come.
 * @returns from which level to which.
 * @throws {SchemaTooNewError} when the schema demands newer code.
 * @throws {SchemaPermissionError} when the role may not create or change the schema.
 */
export async function migrate(
  client: Client,
  dataSource: DataSource,
  schema: string,
  log: (line: string) => void,
): Promise<SchemaLevels> {
  const levels = await bringUpToDate(client, dataSource, schema).catch((error: unknown) => {
    throw errorCode(error) === SqlState.InsufficientPrivilege ? new SchemaPermissionError(schema, error) : error;
  });
  try {
    await ensurePartitions(client, `"${schema}"`);
  } catch (error) {
    if (!WITHOUT_NEW_PARTITIONS.has(errorCode(error) ?? '')) throw error;
    // The default partitions take what has no other: nothing is lost, and no reason not to start.
    const remedy = 'prepareDatabase(), or "npm start -- migrate" of the bundled orchestrator, creates them.';
    log(`The partitions of the coming weeks could not be created (${String(error)}). ${remedy}`);
  }
  return levels;
}

async function bringUpToDate(client: Client, dataSource: DataSource, schema: string): Promise<SchemaLevels> {
  const found = await stateOf(client, dataSource, schema);
  if (found.isCurrent) return { from: found.level, to: found.level };
  return underMigrationLock(client, schema, async () => {
    const { level: from, isCurrent } = await stateOf(client, dataSource, schema);
    if (isCurrent) return { from, to: from };
    await createSchema(dataSource, schema);
    await dataSource.runMigrations({ transaction: 'each' });
    return { from, to: await usableLevel(client, schema) };
  });
}

/** A role that only reads and writes, and somebody who reads for long. */
const WITHOUT_NEW_PARTITIONS: ReadonlySet<string> = new Set([
  SqlState.InsufficientPrivilege,
  SqlState.LockNotAvailable,
]);

/**
 * For those who change nothing.
 *
 * @returns the level of the schema.
 * @throws {SchemaTooNewError} when the schema demands newer code.
 * @throws {SchemaNotMigratedError} when migrations of this code are missing.
 */
export async function refuseOldSchema(client: Client, dataSource: DataSource, schema: string): Promise<SchemaLevels> {
  const { level, isCurrent } = await stateOf(client, dataSource, schema);
  if (!isCurrent) throw new SchemaNotMigratedError(schema, level, CODE_LEVEL);
  return { from: level, to: level };
}

/**
 * Creates the partitions of the coming weeks where they are missing.
 *
 * A new partition locks the default ones, table after table, and so may a batch that writes into them, in another order: the
 * server breaks the deadlock, and whoever lost goes again.
 *
 * @param schema quoted, as raw SQL writes it.
 */
export async function ensurePartitions(
  session: { query(sql: string): Promise<unknown> },
  schema: string,
): Promise<void> {
  for (let left = MAX_DEADLOCKS; ; left -= 1) {
    try {
      await session.query(`
        with patience as materialized (select set_config('lock_timeout', '${LOCK_TIMEOUT}', true))
        select ${schema}.ensure_partitions(now() + ${PARTITIONS_AHEAD}) from patience`);
      return;
    } catch (error) {
      if (errorCode(error) !== SqlState.DeadlockDetected || left === 0) throw error;
    }
  }
}

/** Its level, and whether every migration of this code has run. */
async function stateOf(
  client: Client,
  dataSource: DataSource,
  schema: string,
): Promise<{ readonly level: number; readonly isCurrent: boolean }> {
  const level = await usableLevel(client, schema);
  const applied = await appliedMigrations(client, schema);
  const isCurrent = dataSource.migrations.every((one) => applied.has(one.name ?? one.constructor.name));
  return { level, isCurrent };
}

/** Looks first: "create schema if not exists" asks for the right to create schemas also when there is nothing to create. */
async function createSchema(dataSource: DataSource, schema: string): Promise<void> {
  const found = await dataSource.query<unknown[]>('select 1 from pg_namespace where nspname = $1', [schema]);
  if (found.length === 0) await dataSource.query(`create schema if not exists "${schema}"`);
}

/**
 * The lock belongs to a transaction, not to the session: a pooler that lends sessions out per transaction would take it on
 * one server session and release it on another. It ends with the transaction, however that ends.
 */
async function underMigrationLock<T>(client: Client, schema: string, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    await client.query('set local idle_in_transaction_session_timeout = 0'); // it is idle while the work goes on elsewhere
    await client.query(
      `select pg_advisory_xact_lock(hashtextextended('nestor.migrate:' || current_database() || ':${schema}', 0))`,
    );
    const done = await work();
    await client.query('commit');
    return done;
  } catch (error) {
    // What went wrong is what matters; on a connection that is gone rolling back fails as well.
    await client.query('rollback').catch((rollbackError: unknown) => rollbackError);
    throw error;
  }
}
