import { formatInstant } from '@nestor/core';
import { holdsNothing } from '../processes/process-death.js';
import { RowSet } from '../row-set.js';
import { storedPolicy, storedTags } from '../stored-run.js';
import { instantParameter, storedDetails } from '../stored-state.js';
import { timeAhead } from '../time-ahead.js';
import type { NewQueuedTask, QueueMove } from './task-queue-rows.js';

export const queuedRows = new RowSet<NewQueuedTask>([
  ['id', 'uuid', ({ created }) => created.id],
  ['app', 'text', ({ app }) => app],
  ['key', 'text', ({ key }) => key],
  ['name', 'text', ({ created }) => created.name],
  ['task_key', 'text', ({ created }) => created.taskKey],
  ['dynamic_key', 'text', ({ created }) => created.dynamicKey],
  ['task_version', 'text', ({ created }) => created.taskVersion],
  ['task_inputs', 'jsonb', ({ created }) => (created.inputs === null ? '{}' : JSON.stringify(created.inputs))],
  ['tags', 'jsonb', ({ created }) => storedTags(created.tags)],
  ['empirical_policy', 'jsonb', ({ run }) => storedPolicy(run.policy)],
  ['parameters', 'json', ({ parameters }) => parameters],
  ['state_id', 'uuid', ({ run }) => run.state?.id ?? null],
  ['state_type', 'text', ({ run }) => run.state?.type ?? null],
  ['state_name', 'text', ({ run }) => run.state?.name ?? null],
  ['state_timestamp', 'timestamptz', ({ run }) => instantParameter(run.state?.timestamp ?? null)],
  ['state_details', 'jsonb', ({ run }) => storedDetails(run.state?.details ?? {})],
  ['due_at', 'timestamptz', ({ run }) => instantParameter(run.nextScheduledStartTime)],
]);

const CREATED = `id, name, task_key, dynamic_key, task_version, task_inputs, tags, empirical_policy, parameters,
           state_id, state_type, state_name, state_timestamp`;

/**
 * Puts new runs into the queue: the place there, the run and its first state, all in one statement, so that it may be part of
 * somebody else's transaction. Of runs with the same key one is taken. Gives the ids of those that are there after it, also
 * by an earlier statement of which nobody heard.
 *
 * Waits for transactions that put in a run with the same key and are not decided yet; for none otherwise.
 */
export const enqueueTasks = (schema: string): string => `
  with asked as materialized (
    select n.*
      from ${queuedRows.source(1, 'n')}
     where not exists (select from ${schema}.task_run t where t.id = n.id)
  ), queued as (
    insert into ${schema}.task_queue (task_run_id, app, task_key, key, due_at)
    select id, app, task_key, key, due_at from asked order by id
    on conflict do nothing
    returning task_run_id
  ), created as (
    insert into ${schema}.task_run (${CREATED}, expected_start_time, next_scheduled_start_time)
    select ${CREATED}, due_at, due_at from asked join queued on queued.task_run_id = asked.id order by id
    returning id
  ), history as (
    insert into ${schema}.task_run_state (task_run_id, timestamp, id, type, name, state_details)
    select id, state_timestamp, state_id, state_type, state_name, state_details
      from asked join queued on queued.task_run_id = asked.id
     order by id
  )
  select id::text from created
  union all
  select t.id::text from ${schema}.task_run t where t.id = any($1::uuid[])`;

/**
 * Takes up to `$4` due runs of these tasks, task by task in the order of `$3`, of each the oldest first; skips those that
 * somebody else is taking. `$5`: see `DatabaseClock.leadUs`. Rides `task_queue_due_idx`: what is not due, or of other tasks,
 * is not looked at. (Of functions that tell the time only a stable one is a bound of an index.)
 */
export const claimTasks = (schema: string): string => `
  with me as materialized (
    select id from ${schema}.process where id = $1::uuid and fenced_at is null for key share
  ), due as materialized (
    select d.task_run_id
      from me
      cross join unnest($3::text[]) as t(task_key)
      cross join lateral (
        select q.task_run_id
          from ${schema}.task_queue q
         where q.app = $2 and q.task_key = t.task_key and q.due_at <= statement_timestamp() + $5::bigint * interval '1 microsecond'
           and q.process_id is null and q.dead_at is null
         order by q.due_at, q.task_run_id
         limit $4
           for no key update skip locked) as d
     limit $4
  ), claimed as (
    update ${schema}.task_queue q
       set process_id = $1::uuid, epoch = q.epoch + 1
      from due
     where q.task_run_id = due.task_run_id
    returning q.task_run_id, q.epoch
  )
  select task_run_id::text as id, epoch from claimed`;

/**
 * When the next run is due that {@link claimTasks} could take, as of `$3`; `null` when none waits.
 * Rides `task_queue_due_idx`.
 */
export const nextDueTask = (schema: string): string => `
  select (extract(epoch from min(d.due_at) - (${timeAhead('$3')})) * 1000)::float8 as ms
    from unnest($2::text[]) as t(task_key)
   cross join lateral (
     select q.due_at
       from ${schema}.task_queue q
      where q.app = $1 and q.task_key = t.task_key and q.process_id is null and q.dead_at is null
      order by q.due_at, q.task_run_id
      limit 1) as d`;

/** Runs whose process is fenced or gone, of these tasks alone: see {@link adoptTasks}. */
export const orphanedTasks = (schema: string): string => `
    select q.task_run_id
      from ${schema}.task_queue q
     where q.process_id is not null and q.app = $2 and q.task_key = any($3::text[])
       and ${holdsNothing(schema, 'q.process_id')}
     order by q.process_id, q.task_run_id
     limit $4`;

/**
 * Takes over runs whose process is fenced or gone, of these tasks alone: whoever has no such task knows nothing about it.
 * Skips those that somebody else is taking. Rides `task_queue_process_idx`.
 */
export const adoptTasks = (schema: string): string => `
  with orphan as materialized (${orphanedTasks(schema)}
       for no key update skip locked
  ), adopted as (
    update ${schema}.task_queue q
       set process_id = $1::uuid, epoch = q.epoch + 1, recoveries = q.recoveries + 1
      from orphan
     where q.task_run_id = orphan.task_run_id
    returning q.task_run_id, q.epoch, q.recoveries
  )
  select task_run_id::text as id, epoch, recoveries from adopted`;

export const queueMoves = new RowSet<QueueMove>([
  ['task_run_id', 'uuid', ({ taskRunId }) => taskRunId],
  ['epoch', 'integer', ({ epoch }) => epoch],
  ['due_at', 'timestamptz', ({ to }) => (typeof to === 'number' ? formatInstant(to) : null)],
  ['is_dead', 'boolean', ({ to }) => to === 'dead'],
]);

/**
 * Lets go of runs that this process had taken: they wait again, are dead letters, or leave the queue. Together with the states
 * that say so, and under the same look at the row of the process as those: see `leaseCheck`. Once made, a move finds the run
 * under another epoch, or not held, and changes nothing. Rides `task_queue_pkey`.
 */
export const moveTasks = (schema: string): string => `
  with me as materialized (
    select id from ${schema}.process where id = $1::uuid and fenced_at is null for key share
  ), move as materialized (
    select m.* from me cross join ${queueMoves.source(2, 'm')} order by m.task_run_id
  ), gone as (
    delete from ${schema}.task_queue q
     using move m
     where q.task_run_id = m.task_run_id and q.epoch = m.epoch and q.process_id = $1::uuid
       and m.due_at is null and not m.is_dead
  ), kept as (
    update ${schema}.task_queue q
       set process_id = null, due_at = coalesce(m.due_at, q.due_at),
           dead_at = case when m.is_dead then clock_timestamp() end
      from move m
     where q.task_run_id = m.task_run_id and q.epoch = m.epoch and q.process_id = $1::uuid
       and (m.due_at is not null or m.is_dead)
  )
  select exists (select from me) as held`;
