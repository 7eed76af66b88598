import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Parameters, results and errors that are too large for the row of their run.
 *
 * The id of a payload lies in the millisecond of its run's, so that both are kept, and dropped, with the same week.
 */
export class Payloads1764028800000 implements MigrationInterface {
  name = 'Payloads1764028800000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.payload (
        id      uuid        not null,
        created timestamptz not null default now(),
        data    bytea       not null,
        constraint payload_pkey primary key (id)
      ) partition by range (id)`);
    await runner.query(`create table ${schema}.payload_default partition of ${schema}.payload default`);
    await runner.query(`
      comment on table ${schema}.payload is
        'Parameters, results and errors that are too large for the row of their run, which refers to them by id.'`);
    await runner.query(ensurePartitions(schema, [...PARTITIONED, ['payload', 'id']]));
    await runner.query(`update ${schema}.schema_info set level = 3`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = 2`);
    await runner.query(ensurePartitions(schema, PARTITIONED));
    await runner.query(`drop table ${schema}.payload`);
  }
}

/** The tables that are partitioned by week, and by what. Those of earlier migrations that have gone again are passed over. */
export const PARTITIONED: readonly (readonly [table: string, key: string])[] = [
  ['flow_run', 'id'],
  ['task_run', 'id'],
  ['flow_run_state', 'timestamp'],
  ['task_run_state', 'timestamp'],
  ['log', 'timestamp'],
  ['event', 'occurred'],
  ['run_value', 'flow_run_id'],
];

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}

/** The function of the first migration, for these tables, in their order. */
export function ensurePartitions(schema: string, tables: typeof PARTITIONED): string {
  const rows = tables.map(([table, key]) => `['${table}', '${key}']`).join(', ');
  return `
    create or replace function ${schema}.ensure_partitions(until timestamptz)
      returns void language plpgsql set search_path = ${schema}, pg_temp as $$
    declare
      week timestamptz := date_trunc('week', now() at time zone 'UTC') at time zone 'UTC';
      partitioned text[];
    begin
      -- Nodes that start together would both find a week missing.
      perform pg_advisory_xact_lock(hashtextextended('${schema}.ensure_partitions', 0));
      while week < until loop
        foreach partitioned slice 1 in array array[${rows}] loop
          if to_regclass(format('%I', partitioned[1])) is not null then
            perform ensure_partition(partitioned[1], partitioned[2], week, week + interval '7 days');
          end if;
        end loop;
        week := week + interval '7 days';
      end loop;
    end $$`;
}
