import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What states owe whose hooks have not been called yet. A row is written with its state, and stands until the hooks have been
 * called: if the process dies in between, another one finds it.
 */
export class OwedHooks1764633600000 implements MigrationInterface {
  name = 'OwedHooks1764633600000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.owed_hooks (
        state_id   uuid        not null,
        run_id     uuid        not null,
        app        text        not null,
        flow_id    uuid,
        task_key   text,
        arguments  json,
        process_id uuid,
        claimed_at timestamptz,
        created    timestamptz not null default clock_timestamp(),
        constraint owed_hooks_pkey primary key (state_id),
        constraint owed_hooks_of_flow_or_task_check check ((flow_id is null) <> (task_key is null))
      )`);
    await runner.query(`
      comment on table ${schema}.owed_hooks is
        'The hooks of states that runs have entered, until they have been called.'`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`drop table ${schema}.owed_hooks`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
