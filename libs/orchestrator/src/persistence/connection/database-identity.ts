import type { DataSource, QueryRunner } from 'typeorm';

/**
 * Asks for the `identity` of a database: what no two databases have in common that are up at the same time, namely when their
 * server started, and which they are of it. A copy, and a replica, is another one.
 */
export const DATABASE_IDENTITY = `
  select extract(epoch from pg_postmaster_start_time()) || ' ' || oid as identity
    from pg_database where datname = current_database()`;

/** What tells the database of a connection of TypeORM apart: see {@link DATABASE_IDENTITY}. */
export async function databaseIdentity(connection: DataSource | QueryRunner): Promise<string | undefined> {
  const [row] = (await connection.query(DATABASE_IDENTITY)) as { readonly identity: string }[];
  return row?.identity;
}
