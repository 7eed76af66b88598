import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ensurePartitions, PARTITIONED } from './0003-payloads.js';

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
    await runner.query(ensurePartitions(schema, [...BEFORE, ['flow_run_input', 'flow_run_id']]));
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(ensurePartitions(schema, BEFORE));
    await runner.query(`drop table ${schema}.flow_run_input`);
  }
}

/** Those of earlier migrations that have gone again are passed over. */
const BEFORE = [...PARTITIONED, ['payload', 'id'], ['artifact', 'id'], ['event_receipt', 'id']] as const;

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
