import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ensurePartitions, PARTITIONED } from './0003-payloads.js';

/**
 * What runs publish and what they are configured with: artifacts, variables, blocks; and the ids of stored events, so that
 * one that is sent again is not stored again.
 *
 * Artifacts and the ids of events are partitioned by id: what a run writes has an id in the millisecond of the run, so that
 * both are kept, and dropped, with the same week. The latest artifact of each key is kept besides, in a table of its own.
 */
export class Objects1764374400000 implements MigrationInterface {
  name = 'Objects1764374400000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);

    await runner.query(`
      create table ${schema}.artifact (
        id          uuid        not null,
        created     timestamptz not null default now(),
        updated     timestamptz not null default now(),
        key         text,
        type        text,
        data        jsonb,
        description text,
        metadata    jsonb,
        flow_run_id uuid,
        task_run_id uuid,
        constraint artifact_pkey primary key (id)
      ) partition by range (id)`);
    await runner.query(`create table ${schema}.artifact_default partition of ${schema}.artifact default`);
    await runner.query(`create index artifact_key_idx on ${schema}.artifact (key, created, id)`);
    await runner.query(`create index artifact_flow_run_idx on ${schema}.artifact (flow_run_id)`);
    await runner.query(`create index artifact_task_run_idx on ${schema}.artifact (task_run_id)`);

    await runner.query(`
      create table ${schema}.artifact_collection (
        id             uuid        not null,
        created        timestamptz not null default now(),
        updated        timestamptz not null default now(),
        key            text        not null,
        latest_id      uuid        not null,
        latest_created timestamptz not null,
        type           text,
        data           jsonb,
        description    text,
        metadata       jsonb,
        flow_run_id    uuid,
        task_run_id    uuid,
        constraint artifact_collection_pkey primary key (id),
        constraint artifact_collection_key_key unique (key)
      )`);
    await runner.query(`create index artifact_collection_latest_idx on ${schema}.artifact_collection (latest_id)`);

    await runner.query(`
      create table ${schema}.variable (
        id      uuid        not null,
        created timestamptz not null default now(),
        updated timestamptz not null default now(),
        name    text        not null,
        value   jsonb       not null,
        tags    jsonb       not null default '[]',
        constraint variable_pkey primary key (id),
        constraint variable_name_key unique (name)
      )`);

    await runner.query(`
      create table ${schema}.block_type (
        id                uuid        not null,
        created           timestamptz not null default now(),
        updated           timestamptz not null default now(),
        name              text        not null,
        slug              text        not null,
        logo_url          text,
        documentation_url text,
        description       text,
        code_example      text,
        is_protected      boolean     not null default false,
        constraint block_type_pkey primary key (id),
        constraint block_type_slug_key unique (slug)
      )`);
    await runner.query(`
      create table ${schema}.block_schema (
        id            uuid        not null,
        created       timestamptz not null default now(),
        updated       timestamptz not null default now(),
        checksum      text        not null,
        fields        jsonb       not null default '{}',
        capabilities  jsonb       not null default '[]',
        version       text        not null,
        block_type_id uuid        not null,
        constraint block_schema_pkey primary key (id),
        constraint block_schema_checksum_version_key unique (checksum, version)
      )`);
    await runner.query(`create index block_schema_type_idx on ${schema}.block_schema (block_type_id)`);
    await runner.query(`
      create table ${schema}.block_document (
        id              uuid        not null,
        created         timestamptz not null default now(),
        updated         timestamptz not null default now(),
        name            text,
        data            jsonb       not null default '{}',
        secrets         jsonb       not null default '{}',
        is_anonymous    boolean     not null default false,
        block_type_id   uuid        not null,
        block_schema_id uuid        not null,
        constraint block_document_pkey primary key (id),
        constraint block_document_type_name_key unique (block_type_id, name)
      )`);
    await runner.query(`create index block_document_schema_idx on ${schema}.block_document (block_schema_id)`);
    await runner.query(`
      comment on table ${schema}.block_document is
        'Configuration documents. Secret fields are not in data but in secrets, encrypted, by their place in the document.'`);

    await runner.query(`
      create table ${schema}.event_receipt (
        id       uuid        not null,
        received timestamptz not null default now(),
        constraint event_receipt_pkey primary key (id)
      ) partition by range (id)`);
    await runner.query(`create table ${schema}.event_receipt_default partition of ${schema}.event_receipt default`);
    await runner.query(`
      comment on table ${schema}.event_receipt is
        'The ids of the events that were stored: events themselves are partitioned by time and cannot be unique by id.'`);

    await runner.query(ensurePartitions(schema, [...BEFORE, ['artifact', 'id'], ['event_receipt', 'id']]));
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(ensurePartitions(schema, BEFORE));
    for (const table of [
      'event_receipt',
      'block_document',
      'block_schema',
      'block_type',
      'variable',
      'artifact_collection',
      'artifact',
    ]) {
      await runner.query(`drop table ${schema}.${table}`);
    }
  }
}

const BEFORE = [...PARTITIONED, ['payload', 'id'] as const];

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
