import type { Client } from 'pg';
import type { Violation } from './violation.js';

/** What processes that have stopped left behind; fenced ones stay on the list for an hour, for people to see. */
const LEFTOVERS: readonly { readonly what: string; readonly sql: string }[] = [
  { what: 'process row', sql: `select id from nestor.process where fenced_at is null` },
  { what: 'lease of run', sql: `select id from nestor.flow_run where process_id is not null` },
  { what: 'advisory lock', sql: `select classid || ' ' || objid as id from pg_locks where locktype = 'advisory'` },
  {
    what: 'connection',
    sql: `select usename || ': ' || query as id from pg_stat_activity
           where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  },
];

/** I9: once every process has stopped, nothing of them is left. */
export async function findLeftovers(client: Client): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const { what, sql } of LEFTOVERS) {
    const { rows } = await client.query<{ id: string }>(sql);
    violations.push(...rows.map(({ id }): Violation => ({ invariant: 'I9', what: `${what} ${id} is left` })));
  }
  return violations;
}
