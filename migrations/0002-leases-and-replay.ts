import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who executes which run, and what a resumed run needs beyond its task runs.
 *
 * A process that executes runs has one row in `process`. A root flow run names the process that holds its lease; the epoch
 * grows with every change of holder, so that what an earlier holder still writes is told apart.
 */
export class LeasesAndReplay1763942400000 implements MigrationInterface {
  name = 'LeasesAndReplay1763942400000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);

    // Heartbeats update a few rows again and again: half-empty pages keep those updates within their page.
    await runner.query(`
      create table ${schema}.process (
        id           uuid        not null,
        app          text        not null,
        host         text        not null,
        pid          integer     not null,
        build_id     text,
        started_at   timestamptz not null default clock_timestamp(),
        heartbeat_at timestamptz not null default clock_timestamp(),
        holds_lock   boolean     not null default false,
        fenced_at    timestamptz,
        fenced_by    uuid,
        constraint process_pkey primary key (id)
      ) with (fillfactor = 50)`);
    await runner.query(`
      comment on column ${schema}.process.holds_lock is
        'The process holds its advisory lock in a session of its own, so that the lock being free hints at its death.'`);

    await runner.query(`
      alter table ${schema}.flow_run
        add column process_id uuid,
        add column lease_epoch integer not null default 0`);
    await runner.query(`
      create index flow_run_process_idx on ${schema}.flow_run (process_id, id) where process_id is not null`);
    await runner.query(`
      create index flow_run_root_idx on ${schema}.flow_run (root_flow_run_id) where parent_task_run_id is not null`);

    await runner.query(`
      alter table ${schema}.task_run add column superseded boolean not null default false`);
    await runner.query(`
      comment on column ${schema}.task_run.superseded is
        'The run was restarted from this task run or an earlier one: what it recorded is not replayed.'`);

    await runner.query(`
      create table ${schema}.run_value (
        flow_run_id uuid        not null,
        key         text        not null,
        value       json        not null,
        created     timestamptz not null default now(),
        constraint run_value_pkey primary key (flow_run_id, key)
      ) partition by range (flow_run_id)`);
    await runner.query(`create table ${schema}.run_value_default partition of ${schema}.run_value default`);
    await runner.query(`
      comment on table ${schema}.run_value is
        'What a run drew from the world outside its tasks, such as the time: drawn once, the same again when it resumes.'`);

    await runner.query(ensurePartition(schema));
    await runner.query(ensurePartitions(schema, RUN_VALUES));
    await runner.query(`update ${schema}.schema_info set level = 2`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = 1`);
    // The other function stays as it is: for the tables of the first migration it does what it did before.
    await runner.query(ensurePartitions(schema, ''));
    await runner.query(`drop table ${schema}.run_value`);
    await runner.query(`alter table ${schema}.task_run drop column superseded`);
    await runner.query(`drop index ${schema}.flow_run_root_idx`);
    await runner.query(`drop index ${schema}.flow_run_process_idx`);
    await runner.query(`alter table ${schema}.flow_run drop column lease_epoch, drop column process_id`);
    await runner.query(`drop table ${schema}.process`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}

const RUN_VALUES = `
        perform ensure_partition('run_value', 'flow_run_id', week, week + interval '7 days');`;

/** The function of the first migration, for any key: a UUID is bounded by time-ordered ones, an instant by instants. */
function ensurePartition(schema: string): string {
  return `
    create or replace function ${schema}.ensure_partition(parent text, key text, lower timestamptz, upper timestamptz)
      returns void language plpgsql set search_path = ${schema}, pg_temp as $$
    declare
      partition text := format('%s_%s', parent, to_char(lower at time zone 'UTC', 'YYYYMMDD'));
      fallback text := parent || '_default';
      key_type regtype := (
        select atttypid from pg_attribute where attrelid = format('%I', parent)::regclass and attname = key);
      bounds text[] := case key_type
        when 'uuid'::regtype then array[${schema}.uuid_floor(lower)::text, ${schema}.uuid_floor(upper)::text]
        else array[lower::text, upper::text] end;
    begin
      if to_regclass(format('%I', partition)) is not null then return; end if;
      execute format('lock table %I in access exclusive mode', fallback);
      execute format('create table %I (like %I including defaults including constraints)', partition, parent);
      execute format(
        'with moved as (delete from %I where %I >= %L and %I < %L returning *) insert into %I select * from moved',
        fallback, key, bounds[1], key, bounds[2], partition);
      execute format(
        'alter table %I attach partition %I for values from (%L) to (%L)', parent, partition, bounds[1], bounds[2]);
    end $$`;
}

/** The function of the first migration, with one table more. */
function ensurePartitions(schema: string, more: string): string {
  return `
    create or replace function ${schema}.ensure_partitions(until timestamptz)
      returns void language plpgsql set search_path = ${schema}, pg_temp as $$
    declare
      week timestamptz := date_trunc('week', now() at time zone 'UTC') at time zone 'UTC';
    begin
      -- Nodes that start together would both find a week missing.
      perform pg_advisory_xact_lock(hashtextextended('${schema}.ensure_partitions', 0));
      while week < until loop
        perform ensure_partition('flow_run', 'id', week, week + interval '7 days');
        perform ensure_partition('task_run', 'id', week, week + interval '7 days');
        perform ensure_partition('flow_run_state', 'timestamp', week, week + interval '7 days');
        perform ensure_partition('task_run_state', 'timestamp', week, week + interval '7 days');
        perform ensure_partition('log', 'timestamp', week, week + interval '7 days');
        perform ensure_partition('event', 'occurred', week, week + interval '7 days');${more}
        week := week + interval '7 days';
      end loop;
    end $$`;
}
