import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Where runs wait for a certain kind of process: pools, their queues, and the workers that serve them.
 *
 * Runs that wait are found by two indexes, which hold nothing else: those of no queue by their application, those of a queue by
 * that. Behind either come the priority of the run and the time at which it is due, so that the first entry is the next to go.
 */
export class WorkPools1764979200000 implements MigrationInterface {
  name = 'WorkPools1764979200000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.work_pool (
        id                          uuid        not null,
        created                     timestamptz not null default now(),
        updated                     timestamptz not null default now(),
        name                        text        not null,
        type                        text        not null,
        description                 text,
        base_job_template           jsonb       not null default '{}',
        is_paused                   boolean     not null default false,
        concurrency_limit           integer,
        default_queue_id            uuid        not null,
        status                      text        not null default 'NOT_READY',
        last_transitioned_status_at timestamptz not null default clock_timestamp(),
        last_status_event_id        uuid,
        storage_configuration       jsonb       not null default '{}',
        constraint work_pool_pkey primary key (id),
        constraint work_pool_name_key unique (name),
        constraint work_pool_limit_check check (concurrency_limit >= 0),
        constraint work_pool_status_check check (status in ('READY', 'NOT_READY', 'PAUSED'))
      )`);
    // Priorities are compared when a statement is done with all of them: each is somebody else's while they shift.
    await runner.query(`
      create table ${schema}.work_queue (
        id                uuid        not null,
        created           timestamptz not null default now(),
        updated           timestamptz not null default now(),
        work_pool_id      uuid        not null,
        name              text        not null,
        description       text        not null default '',
        is_paused         boolean     not null default false,
        concurrency_limit integer,
        priority          integer     not null,
        last_polled       timestamptz,
        status            text        not null default 'NOT_READY',
        constraint work_queue_pkey primary key (id),
        constraint work_queue_pool_name_key unique (work_pool_id, name),
        constraint work_queue_pool_priority_key unique (work_pool_id, priority) deferrable initially immediate,
        constraint work_queue_limit_check check (concurrency_limit >= 0),
        constraint work_queue_status_check check (status in ('READY', 'NOT_READY', 'PAUSED'))
      )`);
    await runner.query(`
      comment on column ${schema}.work_queue.priority is 'From 1, which goes first, without gaps within the pool.'`);
    // Heartbeats update a few rows again and again: half-empty pages keep those updates within their page.
    await runner.query(`
      create table ${schema}.worker (
        id                         uuid        not null,
        created                    timestamptz not null default now(),
        updated                    timestamptz not null default now(),
        work_pool_id               uuid        not null,
        name                       text        not null,
        process_id                 uuid,
        last_heartbeat_time        timestamptz not null default clock_timestamp(),
        heartbeat_interval_seconds integer     not null default 30,
        status                     text        not null default 'ONLINE',
        metadata                   jsonb       not null default '{}',
        constraint worker_pkey primary key (id),
        constraint worker_pool_name_key unique (work_pool_id, name),
        constraint worker_status_check check (status in ('ONLINE', 'OFFLINE'))
      ) with (fillfactor = 50)`);
    await runner.query(`
      comment on column ${schema}.worker.process_id is 'The process that it is part of; null for one that polls over HTTP.'`);

    await runner.query(`alter table ${schema}.flow_run add column priority smallint not null default 0`);
    await runner.query(
      `comment on column ${schema}.flow_run.priority is 'Of the runs that are due, the lowest goes first.'`,
    );
    await runner.query(`
      create index flow_run_free_idx on ${schema}.flow_run (app, priority, next_scheduled_start_time, id)
        where state_type = 'SCHEDULED' and process_id is null and not awaits_turn and work_queue_id is null`);
    await runner.query(`
      create index flow_run_queued_idx on ${schema}.flow_run (work_queue_id, priority, next_scheduled_start_time, id)
        where state_type = 'SCHEDULED' and process_id is null and not awaits_turn and work_queue_id is not null`);
    // What counts against the limits of a queue and its pool.
    await runner.query(`
      create index flow_run_occupying_idx on ${schema}.flow_run (work_queue_id)
        where work_queue_id is not null
          and (process_id is not null or state_type in ('PENDING', 'RUNNING', 'CANCELLING'))`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`drop index ${schema}.flow_run_occupying_idx`);
    await runner.query(`drop index ${schema}.flow_run_queued_idx`);
    await runner.query(`drop index ${schema}.flow_run_free_idx`);
    await runner.query(`alter table ${schema}.flow_run drop column priority`);
    await runner.query(`drop table ${schema}.worker`);
    await runner.query(`drop table ${schema}.work_queue`);
    await runner.query(`drop table ${schema}.work_pool`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
