import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Outcomes of tasks that are remembered across runs, by key, and who is about to make one: several calls that ask for the
 * same outcome under a lock wait for the one that holds it. Not partitioned: an outcome is remembered until it expires or is
 * replaced, however old the run is that gave it.
 */
export class TaskCache1764720000000 implements MigrationInterface {
  name = 'TaskCache1764720000000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.task_cache (
        app         text        not null,
        key         text        not null,
        created     timestamptz not null default now(),
        updated     timestamptz not null default now(),
        result      json,
        task_run_id uuid,
        expires_at  timestamptz,
        process_id  uuid,
        holder_id   uuid,
        constraint task_cache_pkey primary key (app, key)
      )`);
    await runner.query(
      `create index task_cache_expiry_idx on ${schema}.task_cache (expires_at) where expires_at is not null`,
    );
    await runner.query(`
      comment on column ${schema}.task_cache.result is 'Null while nothing is remembered yet: then the row is a lock alone.'`);
    await runner.query(`
      comment on column ${schema}.task_cache.process_id is
        'The process that makes the outcome, for as long as it holds the lock; it is free when that process is dead.'`);
    await runner.query(`
      comment on column ${schema}.task_cache.holder_id is 'The task run, or the transaction, that holds the lock.'`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`drop table ${schema}.task_cache`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
