import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Flows that run on their own: deployments, their schedules, and what they were configured with before.
 *
 * A run of a schedule names it. One whose schedule lets no two runs go on at once waits for its turn before anybody may claim
 * it; the index serves who gives the turns and who takes back runs that are not due yet.
 */
export class Deployments1764892800000 implements MigrationInterface {
  name = 'Deployments1764892800000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await createDeployments(runner, schema);
    await createSchedules(runner, schema);
    await runner.query(`
      create table ${schema}.deployment_version (
        id            uuid        not null,
        created       timestamptz not null default now(),
        deployment_id uuid        not null,
        number        integer     not null,
        version       text,
        configuration jsonb       not null,
        created_by    jsonb,
        constraint deployment_version_pkey primary key (id),
        constraint deployment_version_number_key unique (deployment_id, number)
      )`);
    await runner.query(`
      comment on table ${schema}.deployment_version is
        'What deployments were configured with, one row for each change; the highest number is what holds.'`);
    await runner.query(`
      create table ${schema}.schedule_watch (
        app     text        not null,
        seen_at timestamptz not null,
        constraint schedule_watch_pkey primary key (app)
      )`);
    await runner.query(`
      comment on table ${schema}.schedule_watch is
        'When a process of an application last looked after its schedules: what was due since then, all of them missed.'`);

    await runner.query(`alter table ${schema}.flow_run add column schedule_id uuid`);
    await runner.query(`alter table ${schema}.flow_run add column awaits_turn boolean not null default false`);
    await runner.query(`
      comment on column ${schema}.flow_run.awaits_turn is
        'Its schedule lets no two runs go on at once: nobody claims this one until it has been given its turn.'`);
    await runner.query(`
      create index flow_run_deployment_idx on ${schema}.flow_run (deployment_id, id) where deployment_id is not null`);
    await runner.query(`
      create index flow_run_schedule_idx on ${schema}.flow_run (schedule_id, next_scheduled_start_time, id)
        where schedule_id is not null and state_type in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`drop index ${schema}.flow_run_schedule_idx`);
    await runner.query(`drop index ${schema}.flow_run_deployment_idx`);
    await runner.query(`alter table ${schema}.flow_run drop column awaits_turn`);
    await runner.query(`alter table ${schema}.flow_run drop column schedule_id`);
    for (const table of ['schedule_watch', 'deployment_version', 'deployment_schedule', 'deployment']) {
      await runner.query(`drop table ${schema}.${table}`);
    }
  }
}

async function createDeployments(runner: QueryRunner, schema: string): Promise<void> {
  await runner.query(`
    create table ${schema}.deployment (
      id                         uuid        not null,
      created                    timestamptz not null default now(),
      updated                    timestamptz not null default now(),
      flow_id                    uuid        not null,
      app                        text        not null default 'default',
      name                       text        not null,
      version                    text,
      description                text,
      managed                    boolean     not null default false,
      paused                     boolean     not null default false,
      paused_reason              text,
      tags                       jsonb       not null default '[]',
      labels                     jsonb       not null default '{}',
      parameters                 json        not null default '{}',
      parameter_openapi_schema   jsonb,
      enforce_parameter_schema   boolean     not null default true,
      job_variables              jsonb       not null default '{}',
      work_pool_name             text,
      work_queue_id              uuid,
      work_queue_name            text,
      status                     text        not null default 'NOT_READY',
      last_polled                timestamptz,
      concurrency_limit          integer,
      concurrency_options        jsonb,
      path                       text,
      entrypoint                 text,
      pull_steps                 jsonb,
      empirical_policy           jsonb,
      flow_version               text,
      storage_document_id        uuid,
      infrastructure_document_id uuid,
      created_by                 jsonb,
      updated_by                 jsonb,
      constraint deployment_pkey primary key (id),
      constraint deployment_flow_name_key unique (flow_id, name),
      constraint deployment_status_check check (status in ('READY', 'NOT_READY')),
      constraint deployment_paused_reason_check check (paused_reason in ('asked', 'removed'))
    )`);
  await runner.query(`
    comment on column ${schema}.deployment.managed is
      'Declared in code: processes of its app reconcile it when they start, and pause it once the code has it no more.'`);
  await runner.query(`
    comment on column ${schema}.deployment.paused_reason is
      'asked: somebody paused it; removed: it went out of the code, and goes on when it comes back. Null while not paused.'`);
  await runner.query(`
    comment on column ${schema}.deployment.empirical_policy is
      'What its runs are created with, from whoever has the code of the flow; null while nobody has been there who does.'`);
  await runner.query(`create index deployment_app_idx on ${schema}.deployment (app, id)`);
  await runner.query(`create index deployment_name_idx on ${schema}.deployment (name, id)`);
  await runner.query(`
    create index deployment_work_queue_idx on ${schema}.deployment (work_queue_id, id) where work_queue_id is not null`);
}

async function createSchedules(runner: QueryRunner, schema: string): Promise<void> {
  await runner.query(`
    create table ${schema}.deployment_schedule (
      id                 uuid        not null,
      created            timestamptz not null default now(),
      updated            timestamptz not null default now(),
      deployment_id      uuid        not null,
      app                text        not null default 'default',
      slug               text,
      schedule           jsonb       not null,
      active             boolean     not null default true,
      max_scheduled_runs integer,
      parameters         json        not null default '{}',
      starts_at          timestamptz,
      ends_at            timestamptz,
      jitter_ms          bigint      not null default 0,
      overlap            text        not null default 'allow',
      catch_up           text,
      catch_up_window_ms bigint,
      filled_until       timestamptz,
      fill_at            timestamptz,
      turn_at            timestamptz,
      constraint deployment_schedule_pkey primary key (id),
      constraint deployment_schedule_slug_key unique (deployment_id, slug),
      constraint deployment_schedule_overlap_check
        check (overlap in ('skip', 'buffer_one', 'buffer_all', 'cancel_other', 'allow')),
      constraint deployment_schedule_catch_up_check check (catch_up in ('none', 'latest', 'all'))
    )`);
  await runner.query(`
    comment on column ${schema}.deployment_schedule.filled_until is
      'The last of its instants that a run was made for, or that was passed over; null before the first.'`);
  await runner.query(`
    comment on column ${schema}.deployment_schedule.fill_at is
      'When further runs have to be made; null while there is nothing to make: paused, inactive, or without further instants.'`);
  await runner.query(`
    comment on column ${schema}.deployment_schedule.catch_up is
      'What becomes of times that were missed; null: runs that had been made by then are late, and no more are made.'`);
  await runner.query(`
    comment on column ${schema}.deployment_schedule.turn_at is
      'When to look which of its runs has its turn; null while none awaits it.'`);
  await runner.query(`
    create index deployment_schedule_fill_idx on ${schema}.deployment_schedule (app, fill_at) where fill_at is not null`);
  await runner.query(`
    create index deployment_schedule_turn_idx on ${schema}.deployment_schedule (app, turn_at) where turn_at is not null`);
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
