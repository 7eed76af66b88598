import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Which run of a flow has which idempotency key. A table of its own: runs are partitioned by their id, and a unique key of a
 * partitioned table would have to contain that.
 */
export class RunKeys1764806400000 implements MigrationInterface {
  name = 'RunKeys1764806400000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.run_key (
        flow_id     uuid not null,
        key         text not null,
        flow_run_id uuid not null,
        constraint run_key_pkey primary key (flow_id, key)
      )`);
    // Keys go with the runs that have them, which are deleted by ranges of ids.
    await runner.query(`create index run_key_flow_run_idx on ${schema}.run_key (flow_run_id)`);
    await runner.query(`
      comment on table ${schema}.run_key is
        'The run of a flow that has an idempotency key: whoever asks for another one with that key gets this one.'`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`drop table ${schema}.run_key`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
