import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What runs are told while they run: the answers that pauses wait for, with the schema and description of what is asked, and
 * messages of other runs. Named and keyed as in the contract, so that any client can answer.
 */
export class RunInputs1764460800000 implements MigrationInterface {
  name = 'RunInputs1764460800000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.flow_run_input (
        flow_run_id uuid        not null,
        key         text        not null,
        id          uuid        not null,
        value       text        not null,
        sender      text,
        created     timestamptz not null default clock_timestamp(),
        updated     timestamptz not null default clock_timestamp(),
        constraint flow_run_input_pkey primary key (flow_run_id, key)
      ) partition by range (flow_run_id)`);
    await runner.query(`create table ${schema}.flow_run_input_default partition of ${schema}.flow_run_input default`);
    await runner.query(`
      comment on table ${schema}.flow_run_input is
        'What a run asks for while it is paused, the answers, and messages of other runs.'`);
    await runner.query(ensurePartitions(schema, [...PARTITIONED, ['flow_run_input', 'flow_run_id']]));
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(ensurePartitions(schema, PARTITIONED));
    await runner.query(`drop table ${schema}.flow_run_input`);
  }
}

/** The tables that are partitioned by week, and by what. Those of earlier migrations that have gone again are passed over. */
const PARTITIONED: readonly (readonly [table: string, key: string])[] = [
  ['flow_run', 'id'],
  ['task_run', 'id'],
  ['flow_run_state', 'timestamp'],
  ['task_run_state', 'timestamp'],
  ['log', 'timestamp'],
  ['event', 'occurred'],
  ['run_value', 'flow_run_id'],
  ['payload', 'id'],
];

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}

/** The function of the first migration, for these tables, in their order. */
function ensurePartitions(schema: string, tables: typeof PARTITIONED): string {
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
