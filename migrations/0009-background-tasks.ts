import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Task runs that wait for whoever serves them.
 *
 * A table of its own beside `task_run`, narrow and short: who may take which run is looked up again and again, and there rows
 * are wide, of all weeks, and written by everything that is no background task. What a run is given is kept with the run,
 * which outlives its place in the queue.
 */
export class BackgroundTasks1764547200000 implements MigrationInterface {
  name = 'BackgroundTasks1764547200000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`alter table ${schema}.task_run add column parameters json`);
    await runner.query(`
      comment on column ${schema}.task_run.parameters is
        'What a background task is called with; null for a task that was called directly, whose caller has its arguments.'`);
    await runner.query(`
      create table ${schema}.task_queue (
        task_run_id uuid        not null,
        app         text        not null,
        task_key    text        not null,
        key         text,
        due_at      timestamptz not null,
        process_id  uuid,
        epoch       integer     not null default 0,
        recoveries  integer     not null default 0,
        dead_at     timestamptz,
        constraint task_queue_pkey primary key (task_run_id)
      )`);
    await runner.query(`
      comment on table ${schema}.task_queue is
        'Background task runs that wait, are executed, or failed for good; a run that completes leaves the queue.'`);
    // Whoever serves a few of many tasks passes over nothing that others are to take.
    await runner.query(`
      create index task_queue_due_idx on ${schema}.task_queue (app, task_key, due_at, task_run_id)
        where process_id is null and dead_at is null`);
    await runner.query(`
      create index task_queue_process_idx on ${schema}.task_queue (process_id, task_run_id) where process_id is not null`);
    await runner.query(`
      create index task_queue_dead_idx on ${schema}.task_queue (app, task_run_id) where dead_at is not null`);
    await runner.query(`
      create unique index task_queue_key_idx on ${schema}.task_queue (app, task_key, key)
        where key is not null and dead_at is null`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`drop table ${schema}.task_queue`);
    await runner.query(`alter table ${schema}.task_run drop column parameters`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
