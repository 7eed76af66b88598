import type { Client } from 'pg';
import { SchemaTooNewError } from '../connection/database-errors.js';

/**
 * The level of schema this code was written for. A migration that only adds raises it; one that takes away something
 * old code uses also raises what the schema demands of code (`schema_info.oldest_supported_code`).
 */
export const CODE_LEVEL = 23;

/** The table in which TypeORM notes the migrations that have run. */
export const MIGRATIONS_TABLE = 'migration';

/** The names of the migrations that have run; empty when there is no schema yet. */
export async function appliedMigrations(client: Client, schema: string): Promise<ReadonlySet<string>> {
  if (!(await exists(client, `${schema}.${MIGRATIONS_TABLE}`))) return new Set();
  const { rows } = await client.query<{ name: string }>(`select name from "${schema}"."${MIGRATIONS_TABLE}"`);
  return new Set(rows.map((row) => row.name));
}

/**
 * How far a schema has come; 0 when there is none yet. One that says this code is too old for it is refused. One that is
 * merely newer is fine: migrations expand first, so that releases can be rolled out one process after another.
 *
 * @throws {SchemaTooNewError} when the schema demands newer code.
 */
export async function usableLevel(client: Client, schema: string): Promise<number> {
  if (!(await exists(client, `${schema}.schema_info`))) return 0;
  const { rows } = await client.query<{ level: number; oldest: number }>(
    `select level, oldest_supported_code as oldest from "${schema}".schema_info`,
  );
  const { level = 0, oldest = 0 } = rows[0] ?? {};
  if (oldest > CODE_LEVEL) throw new SchemaTooNewError(schema, level, oldest, CODE_LEVEL);
  return level;
}

async function exists(client: Client, relation: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>('select to_regclass($1) is not null as found', [relation]);
  return rows[0]?.found ?? false;
}
