import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Flows, runs, their history of states, logs and events.
 *
 * History is partitioned by week. Runs are partitioned by `id` (time-ordered UUIDs, so a week is a range of ids and a
 * look-up by id touches one partition); states, logs and events by their time. What no week covers, such as a random
 * UUID that a foreign client made up, falls into the default partition.
 */
export class RunsAndHistory1763769600000 implements MigrationInterface {
  name = 'RunsAndHistory1763769600000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);

    await runner.query(`
      create table ${schema}.flow (
        id      uuid        not null,
        created timestamptz not null default now(),
        updated timestamptz not null default now(),
        name    text        not null,
        tags    jsonb       not null default '[]',
        labels  jsonb       not null default '{}',
        constraint flow_pkey primary key (id),
        constraint flow_name_key unique (name)
      )`);

    await runner.query(`
      create table ${schema}.flow_run (
        id                         uuid        not null,
        created                    timestamptz not null default now(),
        updated                    timestamptz not null default now(),
        flow_id                    uuid        not null,
        app                        text        not null default 'default',
        root_flow_run_id           uuid        not null,
        parent_task_run_id         uuid,
        deployment_id              uuid,
        deployment_version         text,
        work_queue_id              uuid,
        work_queue_name            text,
        name                       text        not null,
        flow_version               text,
        build_id                   text,
        encoding_version           smallint    not null default 1,
        parameters                 json        not null default '{}',
        result                     json,
        idempotency_key            text,
        context                    jsonb       not null default '{}',
        empirical_policy           jsonb       not null default '{}',
        tags                       jsonb       not null default '[]',
        labels                     jsonb       not null default '{}',
        created_by                 jsonb,
        infrastructure_pid         text,
        infrastructure_document_id uuid,
        job_variables              jsonb,
        auto_scheduled             boolean     not null default false,
        state_id                   uuid,
        state_type                 text,
        state_name                 text,
        state_timestamp            timestamptz,
        run_count                  integer     not null default 0,
        expected_start_time        timestamptz,
        next_scheduled_start_time  timestamptz,
        start_time                 timestamptz,
        end_time                   timestamptz,
        total_run_time_us          bigint      not null default 0,
        constraint flow_run_pkey primary key (id),
        constraint flow_run_state_type_check check (state_type in ${STATE_TYPES})
      ) partition by range (id)`);
    await runner.query(`create table ${schema}.flow_run_default partition of ${schema}.flow_run default`);
    await runner.query(`create index flow_run_flow_idx on ${schema}.flow_run (flow_id, id)`);
    await runner.query(`create index flow_run_expected_start_idx on ${schema}.flow_run (expected_start_time, id)`);
    await runner.query(`
      create index flow_run_due_idx on ${schema}.flow_run (next_scheduled_start_time, id)
        where state_type = 'SCHEDULED'`);
    await runner.query(`
      create index flow_run_active_idx on ${schema}.flow_run (state_type, id)
        where state_type in ('PENDING', 'RUNNING', 'CANCELLING', 'PAUSED')`);
    await runner.query(`
      create index flow_run_parent_idx on ${schema}.flow_run (parent_task_run_id)
        where parent_task_run_id is not null`);

    await runner.query(`
      create table ${schema}.task_run (
        id                        uuid        not null,
        created                   timestamptz not null default now(),
        updated                   timestamptz not null default now(),
        flow_run_id               uuid,
        parent_task_run_id        uuid,
        name                      text        not null,
        task_key                  text        not null,
        dynamic_key               text        not null,
        task_version              text,
        cache_key                 text,
        cache_expiration          timestamptz,
        flow_run_run_count        integer     not null default 0,
        empirical_policy          jsonb       not null default '{}',
        task_inputs               jsonb       not null default '{}',
        tags                      jsonb       not null default '[]',
        labels                    jsonb       not null default '{}',
        result                    json,
        state_id                  uuid,
        state_type                text,
        state_name                text,
        state_timestamp           timestamptz,
        run_count                 integer     not null default 0,
        expected_start_time       timestamptz,
        next_scheduled_start_time timestamptz,
        start_time                timestamptz,
        end_time                  timestamptz,
        total_run_time_us         bigint      not null default 0,
        constraint task_run_pkey primary key (id),
        constraint task_run_state_type_check check (state_type in ${STATE_TYPES})
      ) partition by range (id)`);
    await runner.query(`create table ${schema}.task_run_default partition of ${schema}.task_run default`);
    await runner.query(`create index task_run_flow_run_idx on ${schema}.task_run (flow_run_id, id)`);

    // A run's history is read by run and in order; that is the primary key. Task states have no index on \`id\`: three of
    // them are written per task, and nobody looks one up without its run.
    for (const run of ['flow_run', 'task_run'] as const) {
      await runner.query(`
        create table ${schema}.${run}_state (
          ${run}_id          uuid        not null,
          timestamp          timestamptz not null,
          id                 uuid        not null,
          type               text        not null,
          name               text        not null,
          message            text,
          state_details      jsonb       not null default '{}',
          data               jsonb,
          result_artifact_id uuid,
          follows            uuid,
          event_stored       boolean     not null default false,
          constraint ${run}_state_pkey primary key (${run}_id, timestamp),
          constraint ${run}_state_type_check check (type in ${STATE_TYPES})
        ) partition by range (timestamp)`);
      await runner.query(`create table ${schema}.${run}_state_default partition of ${schema}.${run}_state default`);
      await runner.query(`
        comment on column ${schema}.${run}_state.event_stored is
          'A foreign client reported this state as an event of its own, which is in table event.'`);
    }
    await runner.query(`create index flow_run_state_id_idx on ${schema}.flow_run_state (id)`);

    await runner.query(`
      create table ${schema}.log (
        timestamp   timestamptz not null,
        id          uuid        not null,
        created     timestamptz not null default now(),
        name        text        not null,
        level       smallint    not null,
        message     text        not null,
        flow_run_id uuid,
        task_run_id uuid,
        constraint log_pkey primary key (timestamp, id)
      ) partition by range (timestamp)`);
    await runner.query(`create table ${schema}.log_default partition of ${schema}.log default`);
    await runner.query(`create index log_flow_run_idx on ${schema}.log (flow_run_id, timestamp)`);

    await runner.query(`
      create table ${schema}.event (
        occurred             timestamptz not null,
        id                   uuid        not null,
        event                text        not null,
        resource_id          text        not null,
        resource             jsonb       not null default '{}',
        related_resource_ids jsonb       not null default '[]',
        related              jsonb       not null default '[]',
        payload              jsonb       not null default '{}',
        received             timestamptz not null default now(),
        recorded             timestamptz not null default now(),
        follows              uuid,
        constraint event_pkey primary key (occurred, id)
      ) partition by range (occurred)`);
    await runner.query(`create table ${schema}.event_default partition of ${schema}.event default`);
    await runner.query(`create index event_name_idx on ${schema}.event (event, occurred, id)`);
    await runner.query(`create index event_resource_idx on ${schema}.event (resource_id, occurred)`);
    await runner.query(`create index event_related_ids_idx on ${schema}.event using gin (related_resource_ids)`);

    await runner.query(eventFeed(schema));
    await createPartitionFunctions(runner, schema);

    // What this schema asks of the code that opens it; raised by a later migration that old code could not live with.
    await runner.query(`
      create table ${schema}.schema_info (
        singleton             boolean not null default true,
        level                 integer not null,
        oldest_supported_code integer not null,
        constraint schema_info_pkey primary key (singleton),
        constraint schema_info_singleton_check check (singleton)
      )`);
    await runner.query(`insert into ${schema}.schema_info (level, oldest_supported_code) values (1, 1)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`drop view ${schema}.event_feed`);
    for (const table of [
      'schema_info',
      'event',
      'log',
      'task_run_state',
      'flow_run_state',
      'task_run',
      'flow_run',
      'flow',
    ]) {
      await runner.query(`drop table ${schema}.${table}`);
    }
    await runner.query(`drop function ${schema}.ensure_partitions(timestamptz)`);
    await runner.query(`drop function ${schema}.ensure_partition(text, text, timestamptz, timestamptz)`);
    await runner.query(`drop function ${schema}.uuid_floor(timestamptz)`);
  }
}

const STATE_TYPES = `('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')`;

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}

/**
 * Every event: the stored ones, and the one that each state change is. State events are not stored a second time; their
 * id is the id of the state. `run_id` is the run whose state changed; look events of a run up by it, it rides the key of
 * the history.
 *
 * @param taskRunStates where the states of task runs are read from, which a later migration changes.
 */
export function eventFeed(schema: string, taskRunStates = 'task_run_state'): string {
  const stateLabels = `
    'prefect.state-message', left(coalesce(s.message, ''), 100000),
    'prefect.state-name', s.name,
    'prefect.state-timestamp', to_char(s.timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
    'prefect.state-type', s.type`;
  const validated = `
    jsonb_build_object('validated_state', jsonb_build_object('type', s.type, 'name', s.name, 'message', s.message))`;
  return `
    create or replace view ${schema}.event_feed as
      select e.id, e.occurred, e.event, e.resource_id, e.resource, e.related, e.payload, e.received, e.follows,
             null::uuid as run_id
        from ${schema}.event e
      union all
      select s.id, s.timestamp, 'prefect.flow-run.' || s.name, 'prefect.flow-run.' || s.flow_run_id,
             jsonb_build_object(
               'prefect.resource.id', 'prefect.flow-run.' || s.flow_run_id,
               'prefect.resource.name', r.name, 'prefect.run-count', r.run_count::text, ${stateLabels}),
             jsonb_build_array(jsonb_build_object(
               'prefect.resource.id', 'prefect.flow.' || r.flow_id,
               'prefect.resource.role', 'flow', 'prefect.resource.name', f.name)),
             ${validated}, s.timestamp, s.follows, s.flow_run_id
        from ${schema}.flow_run_state s
        join ${schema}.flow_run r on r.id = s.flow_run_id
        join ${schema}.flow f on f.id = r.flow_id
       where not s.event_stored
      union all
      select s.id, s.timestamp, 'prefect.task-run.' || s.name, 'prefect.task-run.' || s.task_run_id,
             jsonb_build_object(
               'prefect.resource.id', 'prefect.task-run.' || s.task_run_id,
               'prefect.resource.name', r.name, 'prefect.run-count', r.run_count::text, ${stateLabels}),
             case when r.flow_run_id is null then '[]'::jsonb else jsonb_build_array(jsonb_build_object(
               'prefect.resource.id', 'prefect.flow-run.' || r.flow_run_id,
               'prefect.resource.role', 'flow-run')) end,
             ${validated}, s.timestamp, s.follows, s.task_run_id
        from ${schema}.${taskRunStates} s
        join ${schema}.task_run r on r.id = s.task_run_id
       where not s.event_stored`;
}

async function createPartitionFunctions(runner: QueryRunner, schema: string): Promise<void> {
  await runner.query(`
    create function ${schema}.uuid_floor(at timestamptz) returns uuid
      language sql immutable strict
      as $$ select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$`);
  await runner.query(`
    comment on function ${schema}.uuid_floor(timestamptz) is
      'The least time-ordered UUID (version 7) of that millisecond: a bound between partitions by id.'`);

  // Rows that the default partition caught before the week had a partition of its own move over first: attaching fails
  // while the default holds rows of the new range. The lock keeps further ones out until the partition is attached.
  await runner.query(`
    create function ${schema}.ensure_partition(parent text, key text, lower timestamptz, upper timestamptz)
      returns void language plpgsql set search_path = ${schema}, pg_temp as $$
    declare
      partition text := format('%s_%s', parent, to_char(lower at time zone 'UTC', 'YYYYMMDD'));
      fallback text := parent || '_default';
      bounds text[] := case key
        when 'id' then array[${schema}.uuid_floor(lower)::text, ${schema}.uuid_floor(upper)::text]
        else array[lower::text, upper::text] end;
    begin
      if to_regclass(format('%I', partition)) is not null then return; end if;
      execute format('lock table %I in access exclusive mode', fallback);
      execute format('create table %I (like %I including defaults including constraints)', partition, parent);
      execute format(
        'with moved as (delete from %I where %I >= %L and %I < %L returning *) insert into %I select * from moved',
        fallback, key, bounds[1], key, bounds[2], partition);
      execute format(
        'alter table %I attach partition %I for values from (%L) to (%L)', parent, partition, bounds[1], bounds[2]);
    end $$`);

  await runner.query(`
    create function ${schema}.ensure_partitions(until timestamptz)
      returns void language plpgsql set search_path = ${schema}, pg_temp as $$
    declare
      week timestamptz := date_trunc('week', now() at time zone 'UTC') at time zone 'UTC';
    begin
      -- Nodes that start together would both find a week missing.
      perform pg_advisory_xact_lock(hashtextextended('${schema}.ensure_partitions', 0));
      while week < until loop
        perform ensure_partition('flow_run', 'id', week, week + interval '7 days');
        perform ensure_partition('task_run', 'id', week, week + interval '7 days');
        perform ensure_partition('flow_run_state', 'timestamp', week, week + interval '7 days');
        perform ensure_partition('task_run_state', 'timestamp', week, week + interval '7 days');
        perform ensure_partition('log', 'timestamp', week, week + interval '7 days');
        perform ensure_partition('event', 'occurred', week, week + interval '7 days');
        week := week + interval '7 days';
      end loop;
    end $$`);
  await runner.query(`
    comment on function ${schema}.ensure_partitions(timestamptz) is
      'Creates the weekly partitions from the current week up to that instant, where they are missing.'`);
}
