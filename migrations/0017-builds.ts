import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What each process can execute, so that it can be told why a run waits; and runs that only one build of the code may go on with. */
export class Builds1765238400000 implements MigrationInterface {
  name = 'Builds1765238400000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`alter table ${schema}.process add column flow_ids uuid[]`);
    await runner.query(`alter table ${schema}.process add column serves jsonb`);
    await runner.query(`
      comment on column ${schema}.process.flow_ids is
        'The flows that its code has; null until it has looked, and of processes with older code.'`);
    await runner.query(`
      comment on column ${schema}.process.serves is
        'Where it takes waiting runs from, and how many at a time; null where nobody said.'`);
    await runner.query(`alter table ${schema}.flow_run add column pinned_build_id text`);
    await runner.query(`
      comment on column ${schema}.flow_run.pinned_build_id is
        'The build of the code that began it, where no other may go on with it.'`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`alter table ${schema}.flow_run drop column pinned_build_id`);
    await runner.query(`alter table ${schema}.process drop column serves`);
    await runner.query(`alter table ${schema}.process drop column flow_ids`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
