import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which process executes a task run that belongs to no flow run: there is nothing else by which it could be missed. */
export class StandaloneTaskRuns1764115200000 implements MigrationInterface {
  name = 'StandaloneTaskRuns1764115200000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`alter table ${schema}.task_run add column process_id uuid`);
    await runner.query(`
      comment on column ${schema}.task_run.process_id is
        'The process that executes a task run outside any flow run, until it has ended; null for all others.'`);
    await runner.query(`
      create index task_run_process_idx on ${schema}.task_run (process_id, id) where process_id is not null`);
    await runner.query(`update ${schema}.schema_info set level = 4`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = 3`);
    await runner.query(`drop index ${schema}.task_run_process_idx`);
    await runner.query(`alter table ${schema}.task_run drop column process_id`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
