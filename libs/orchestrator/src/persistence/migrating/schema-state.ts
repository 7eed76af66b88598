import type { Client } from 'pg';
import { SchemaTooNewError } from '../connection/database-errors.js';

/**
 * The level of schema this code was written for. A migration that only adds raises it; one that takes away something
 * old code uses also raises what the schema demands of code (`schema_info.oldest_supported_code`).
 */
const CODE_LEVEL = 20;

/** The table in which TypeORM notes the migrations that have run. */
export const MIGRATIONS_TABLE = 'migration';

/** The names of the migrations that have run; empty when there is no schema yet. */
export async function appliedMigrations(client: Client, schema: string): Promise<ReadonlySet<string>> {
  if (!(await exists(client, `${schema}.${MIGRATIONS_TABLE}`))) return new Set();
  const { rows } = await client.query<{ name: string }>(`select name from "${schema}"."${MIGRATIONS_TABLE}"`);
  return new Set(rows.map((row) => row.name));
}

/**
 * Refuses a schema that says this code is too old for it. A schema that is merely newer is fine: migrations expand
 * first, so that releases can be rolled out one process after another.
 *
 * @throws {SchemaTooNewError} when the schema demands newer code.
 */
export async function refuseTooNewSchema(client: Client, schema: string): Promise<void> {
  if (!(await exists(client, `${schema}.schema_info`))) return;
  const { rows } = await client.query<{ level: number; oldest: number }>(
    `select level, oldest_supported_code as oldest from "${schema}".schema_info`,
  );
  const info = rows[0];
  if (info && info.oldest > CODE_LEVEL) throw new SchemaTooNewError(schema, info.level, info.oldest, CODE_LEVEL);
}

async function exists(client: Client, relation: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>('select to_regclass($1) is not null as found', [relation]);
  return rows[0]?.found ?? false;
}
