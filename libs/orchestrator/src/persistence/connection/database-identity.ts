/**
 * Asks for the `identity` of a database: what no two databases have in common that are up at the same time, namely when their
 * server started, and which they are of it. A copy, and a replica, is another one.
 */
export const DATABASE_IDENTITY = `
  select extract(epoch from pg_postmaster_start_time()) || ' ' || oid as identity
    from pg_database where datname = current_database()`;
