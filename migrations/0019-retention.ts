import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who removes what is older than it is kept, for each application, and how far that has come: one process at a time does so, and
 * the next one goes on where one that died had come to.
 */
export class Retention1765411200000 implements MigrationInterface {
  name = 'Retention1765411200000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.retention_pass (
        app        text        not null,
        next_at    timestamptz not null,
        process_id uuid,
        held_until timestamptz,
        cursors    jsonb       not null default '{}',
        removing   uuid[]      not null default '{}',
        constraint retention_pass_pkey primary key (app)
      )`);
    await runner.query(`
      comment on table ${schema}.retention_pass is
        'When what an application keeps no longer is removed next, and which process is at it until when.'`);
    await runner.query(`
      comment on column ${schema}.retention_pass.removing is
        'Flow runs that are removed already, and of which task runs, log lines or artifacts may still be there.'`);
    await runner.query(dropWeek(schema));
    await runner.query(`
      comment on function ${schema}.drop_week(text, timestamptz, text) is
        'Drops the partition of a week, unless it has runs that have not ended; tells whether it is gone.'`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`drop function ${schema}.drop_week(text, timestamptz, text)`);
    await runner.query(`drop table ${schema}.retention_pass`);
  }
}

/**
 * Dropping a partition needs its parent to itself for a moment, and whoever asks for that holds up all who come after: it does not
 * ask for long. The parent comes first, as in every statement that uses it. Partitions are not created at the same time.
 *
 * Under that lock nobody begins anything with a run of the partition: what somebody has set going again since it was looked at
 * stays.
 */
function dropWeek(schema: string): string {
  return `
    create function ${schema}.drop_week(parent text, week timestamptz, patience text)
      returns boolean language plpgsql set search_path = ${schema}, pg_temp as $$
    declare
      partition text := format('%s_%s', parent, to_char(week at time zone 'UTC', 'YYYYMMDD'));
      first_id uuid := ${schema}.uuid_floor(week);
      next_id uuid := ${schema}.uuid_floor(week + interval '7 days');
      is_wanted boolean := false;
    begin
      perform set_config('lock_timeout', patience, true);
      perform pg_advisory_xact_lock(hashtextextended('${schema}.ensure_partitions', 0));
      execute format('lock table only %I in access exclusive mode', parent);
      if to_regclass(format('%I', partition)) is null then return true; end if;
      if parent = 'flow_run' then
        execute format(
          'select exists (select from %1$I where state_type in (''PENDING'', ''RUNNING'', ''CANCELLING'', ''PAUSED''))
               or exists (select from %1$I where state_type = ''SCHEDULED'')', partition) into is_wanted;
      elsif parent = 'task_run' then
        is_wanted := exists (
          select from task_queue where task_run_id >= first_id and task_run_id < next_id and dead_at is null);
      end if;
      if is_wanted then return false; end if;
      execute format('drop table %I', partition);
      return true;
    end $$`;
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
