import type { TestDatabase } from '@nestor/testing';
import { sql } from '../../../support/sql.js';

type Database = Pick<TestDatabase, 'url'>;

/** Where rows of a run may be, and by which column. */
const OF_FLOW_RUNS = {
  flow_run: 'id',
  flow_run_state: 'flow_run_id',
  task_run: 'flow_run_id',
  run_value: 'flow_run_id',
  flow_run_input: 'flow_run_id',
  run_key: 'flow_run_id',
  log: 'flow_run_id',
  artifact: 'flow_run_id',
  owed_hooks: 'run_id',
} as const;

/** How many rows there are of flow runs, by table; tables without any are left out. */
export async function rowsOf(database: Database, flowRunIds: readonly string[]): Promise<Record<string, number>> {
  const counts = Object.entries(OF_FLOW_RUNS).map(
    ([table, column]) =>
      `select '${table}' as name, count(*)::int as rows from nestor.${table} where ${column} = any($1)`,
  );
  const ofTasks = `
    select 'task_run_state', count(*)::int from nestor.task_run_state s
     where not exists (select from nestor.task_run t where t.id = s.task_run_id)
        or exists (select from nestor.task_run t where t.id = s.task_run_id and t.flow_run_id = any($1))`;
  const rows = await sql<{ name: string; rows: number }>(database, [...counts, ofTasks].join(' union all '), [
    flowRunIds,
  ]);
  return Object.fromEntries(rows.filter((row) => row.rows > 0).map((row) => [row.name, row.rows]));
}

/** The names of the weeks of a table. */
export async function weeksOf(database: Database, table: string): Promise<string[]> {
  const rows = await sql<{ name: string }>(
    database,
    `select c.relname as name from pg_inherits join pg_class c on c.oid = inhrelid
      where inhparent = ('nestor.' || $1)::regclass and c.relname ~ '\\d{8}$' order by 1`,
    [table],
  );
  return rows.map(({ name }) => name);
}

/** Creates the partitions of a table for weeks that are over, as they were created in their time. */
export async function openWeek(database: Database, table: string, column: string, weeksAgo: number): Promise<string> {
  const [row] = await sql<{ name: string }>(
    database,
    `with week as (
       select date_trunc('week', now() at time zone 'UTC') at time zone 'UTC' - $3::int * interval '7 days' as lower
     )
     select $1 || '_' || to_char(lower at time zone 'UTC', 'YYYYMMDD') as name,
            nestor.ensure_partition($1, $2, lower, lower + interval '7 days')
       from week`,
    [table, column, weeksAgo],
  );
  return row!.name;
}

/** Lets the next pass be due, and nobody be at one. */
export async function letPassBeDue(database: Database): Promise<void> {
  await sql(database, `update nestor.retention_pass set next_at = now(), held_until = null`);
}
