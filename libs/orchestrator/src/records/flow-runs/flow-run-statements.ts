import { FENCE_WIDTH, leaseCheck, singleLeaseCheck } from '../lease-check.js';
import { holdsNothing } from '../processes/process-death.js';
import { assumedFew, RowSet, type RowColumn } from '../row-set.js';
import { storedPolicy, storedTags } from '../stored-run.js';
import { instantParameter, newStates, STATE_COLUMNS } from '../stored-state.js';
import { timeAhead } from '../time-ahead.js';
import type { FlowRunCreation, FlowRunMove } from './flow-run-rows.js';

const creationColumns: readonly RowColumn<FlowRunCreation>[] = [
  ['id', 'uuid', ({ created }) => created.id],
  ['flow_id', 'uuid', ({ created }) => created.flowId],
  ['app', 'text', ({ created }) => created.app],
  ['root_flow_run_id', 'uuid', ({ created }) => created.rootFlowRunId],
  ['parent_task_run_id', 'uuid', ({ created }) => created.parentTaskRunId],
  ['name', 'text', ({ created }) => created.name],
  ['flow_version', 'text', ({ created }) => created.flowVersion],
  ['build_id', 'text', ({ created }) => created.buildId],
  ['pinned_build_id', 'text', ({ created }) => created.pinnedBuildId ?? null],
  ['encoding_version', 'smallint', ({ created }) => created.encodingVersion],
  ['parameters', 'json', ({ created }) => created.parameters],
  ['tags', 'jsonb', ({ created }) => storedTags(created.tags)],
  ['empirical_policy', 'jsonb', ({ run }) => storedPolicy(run.policy)],
  ['state_id', 'uuid', ({ run }) => run.state?.id ?? null],
  ['state_type', 'text', ({ run }) => run.state?.type ?? null],
  ['state_name', 'text', ({ run }) => run.state?.name ?? null],
  ['state_timestamp', 'timestamptz', ({ run }) => instantParameter(run.state?.timestamp ?? null)],
  ['expected_start_time', 'timestamptz', ({ run }) => instantParameter(run.expectedStartTime)],
  ['next_scheduled_start_time', 'timestamptz', ({ run }) => instantParameter(run.nextScheduledStartTime)],
];
const creations = new RowSet<FlowRunCreation>(creationColumns);
export const claimedCreations = new RowSet<FlowRunCreation>([
  ['claim', 'integer', ({ claim }) => claim],
  ['is_leased', 'boolean', ({ created }) => created.isLeased],
  ...creationColumns,
]);

/**
 * One row per new run and one per state, of the claims that hold; a root run that this process will execute is leased to
 * it from its first moment. Takes no locks beyond its own rows, and those in the order of the keys: a late repetition of
 * the same batch waits for them.
 */
export const insertFlowRuns = (schema: string): string =>
  insertStatement(schema, {
    check: leaseCheck(schema),
    runs: claimedCreations.source(FENCE_WIDTH + 1, 'c'),
    states: newStates.source(FENCE_WIDTH + 1 + claimedCreations.width, 's'),
  });

/** The same for one run in one state, which is what the first call of an idle system waits for: without arrays it is faster. */
export const insertLoneFlowRun = (schema: string): string =>
  insertStatement(schema, {
    check: singleLeaseCheck(schema),
    runs: claimedCreations.values(FENCE_WIDTH + 1, 'c', 1),
    states: newStates.values(FENCE_WIDTH + 1 + claimedCreations.width, 's', 1),
  });

const insertStatement = (
  schema: string,
  { check, runs, states }: { readonly check: string; readonly runs: string; readonly states: string },
): string => `
  with ${check}, created as (
    insert into ${schema}.flow_run (process_id, ${creations.names})
    select case when c.is_leased then $1::uuid end, ${creations.names}
      from held
      cross join ${runs}
     where held.leases[c.claim]
     order by id
    on conflict do nothing
  ), history as (
    insert into ${schema}.flow_run_state (flow_run_id, ${STATE_COLUMNS})
    select run_id, ${STATE_COLUMNS}
      from held
      cross join ${states}
     where held.leases[s.claim]
     order by run_id, timestamp
    on conflict do nothing
  )
  select leases from held`;

export const moveRows = new RowSet<FlowRunMove>([
  ['claim', 'integer', ({ claim }) => claim],
  ['id', 'uuid', ({ run }) => run.id],
  ['expected_state_id', 'uuid', ({ expectedStateId }) => expectedStateId],
  ['expected_epoch', 'integer', ({ expectedEpoch }) => expectedEpoch],
  ['is_released', 'boolean', ({ lease }) => lease === 'released' || lease === 'revoked'],
  ['is_taken', 'boolean', ({ lease }) => lease === 'taken'],
  ['epochs', 'integer', ({ lease }) => (lease === 'revoked' || lease === 'taken' ? 1 : 0)],
  ['empirical_policy', 'jsonb', ({ run }) => storedPolicy(run.policy)],
  ['result', 'json', ({ result }) => result],
  ['state_id', 'uuid', ({ run }) => run.state?.id ?? null],
  ['state_type', 'text', ({ run }) => run.state?.type ?? null],
  ['state_name', 'text', ({ run }) => run.state?.name ?? null],
  ['state_timestamp', 'timestamptz', ({ run }) => instantParameter(run.state?.timestamp ?? null)],
  ['run_count', 'integer', ({ run }) => run.runCount],
  ['next_scheduled_start_time', 'timestamptz', ({ run }) => instantParameter(run.nextScheduledStartTime)],
  ['start_time', 'timestamptz', ({ run }) => instantParameter(run.startTime)],
  ['end_time', 'timestamptz', ({ run }) => instantParameter(run.endTime)],
  ['total_run_time_us', 'bigint', ({ run }) => run.totalRunTimeUs],
]);

/**
 * Compare-and-set of many runs. Locks the rows in id order, so that two batches never wait for each other; the condition on
 * state and epoch is evaluated on the row as it is once the lock is held. Rides `flow_run_pkey`, one partition per run. (The
 * rows given are compared by hash tables, `(… in …) is true`: a batch may have many, and joins are planned for few.)
 *
 * A run that waits in the line of its key stays there while it only waits longer. One that is to go earlier, or has ended
 * and comes back, goes on without a turn: its line may sleep, or be gone. So does one that awaited the turn of its schedule.
 */
export const moveFlowRuns = (schema: string): string => `
  with ${leaseCheck(schema)}, move as materialized (
    select m.* from held cross join ${moveRows.source(FENCE_WIDTH + 1, 'm')} where held.leases[m.claim]
  ), locked as materialized (
    select r.id
      from move m
      join ${schema}.flow_run r on r.id = m.id
     where ${assumedFew('m.id')}
     order by r.id
       for no key update of r
  ), moved as (
    update ${schema}.flow_run r
       set updated = now(), empirical_policy = m.empirical_policy, result = m.result, state_id = m.state_id,
           state_type = m.state_type, state_name = m.state_name, state_timestamp = m.state_timestamp,
           run_count = m.run_count, next_scheduled_start_time = m.next_scheduled_start_time,
           start_time = m.start_time, end_time = m.end_time, total_run_time_us = m.total_run_time_us,
           fair_line_id = case when m.state_type = 'SCHEDULED' and m.next_scheduled_start_time >= r.next_scheduled_start_time
                               then r.fair_line_id end,
           awaits_turn = case when r.state_type = 'SCHEDULED' and m.state_type = 'SCHEDULED' then r.awaits_turn else false end,
           process_id = case when m.is_taken then $1::uuid when m.is_released then null else r.process_id end,
           lease_epoch = r.lease_epoch + case when r.state_id = m.state_id then 0 else m.epochs end
      from move m
     where r.id = m.id and (m.id in (select id from locked)) is true and ${assumedFew('m.id')}
       and (r.state_id is not distinct from m.expected_state_id and r.lease_epoch = coalesce(m.expected_epoch, r.lease_epoch)
            or r.state_id = m.state_id)
    returning r.id
  ), history as (
    insert into ${schema}.flow_run_state (flow_run_id, ${STATE_COLUMNS})
    select s.run_id, s.timestamp, s.id, s.type, s.name, s.message, s.state_details, s.follows
      from ${newStates.source(FENCE_WIDTH + 1 + moveRows.width, 's')}
     where (s.run_id in (select id from moved)) is true
    on conflict do nothing
  )
  select (select leases from held) as leases, array(select id from moved) as moved`;

/**
 * Paused runs whose time is over, and runs that have been CANCELLING for too long, after one of the page before: in the
 * order of the index `flow_run_active_idx`, which it rides.
 */
export const overdueFlowRuns = (schema: string): string => `
  select r.id, r.state_id as "stateId", r.state_type as "stateType"
    from ${schema}.flow_run r
   where r.app = $1 and r.state_type in ('CANCELLING', 'PAUSED')
     and (r.state_type = 'CANCELLING'
          and r.state_timestamp < ${timeAhead('$4')} - $2 * interval '1 millisecond'
          or r.state_type = 'PAUSED' and exists (
               select from ${schema}.flow_run_state s
                where s.flow_run_id = r.id and s.timestamp = r.state_timestamp
                  and (s.state_details ->> 'pauseTimeout')::timestamptz <= ${timeAhead('$4')}))
     and ($5::text is null or (r.state_type, r.id) > ($5, $6::uuid))
   order by r.state_type, r.id
   limit $3`;

/**
 * Runs that were due and that nobody has taken since, those first that have been due longest, after the one of the page before.
 * Rides `flow_run_due_idx`.
 */
export const lateFlowRuns = (schema: string): string => `
  select r.id, r.state_id as "stateId", r.next_scheduled_start_time as "dueAt"
    from ${schema}.flow_run r
   where r.state_type = 'SCHEDULED' and r.state_name = 'Scheduled' and r.process_id is null and not r.awaits_turn
     and r.app = $1 and r.next_scheduled_start_time <= ${timeAhead('$3')} - $2 * interval '1 millisecond'
     and (r.next_scheduled_start_time, r.id) > (coalesce($5::timestamptz, '-infinity'), coalesce($6::uuid, r.id))
   order by r.next_scheduled_start_time, r.id
   limit $4`;

/**
 * Runs whose process may write nothing more, or has left; of these flows only. A run that waits was last updated when it was
 * claimed, or when it began to wait in its process: if it was due by then, it was about to begin. Rides
 * `flow_run_process_idx`.
 */
export const orphanedFlowRuns = (schema: string): string => `
  select r.id, r.process_id as "processId", r.state_type as "stateType",
         r.state_type = 'SCHEDULED' and r.next_scheduled_start_time <= r.updated as "wasBeginning"
    from ${schema}.flow_run r
   where r.process_id is not null and r.app = $1 and r.flow_id = any($2::uuid[])
     and not exists (select from ${schema}.process p where p.id = r.process_id and p.fenced_at is null)
   order by r.process_id, r.id
   limit $3`;

/** Takes ended runs over from processes that died before they had ended what is within them: one process gets each. */
export const adoptEnded = (schema: string): string => `
  update ${schema}.flow_run r
     set process_id = $1::uuid, lease_epoch = r.lease_epoch + 1, updated = now()
   where r.id = any($2::uuid[]) and r.state_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
     and ${holdsNothing(schema, 'r.process_id')}
  returning r.id`;

/**
 * Lets go of runs that wait, for a time or for somebody, and whose process is gone: whoever comes next may claim them.
 * Guarded by the same condition as the look-up, because they may have been claimed meanwhile.
 */
export const releaseOrphans = (schema: string): string => `
  update ${schema}.flow_run r
     set process_id = null, lease_epoch = r.lease_epoch + 1, updated = now()
   where r.id = any($1::uuid[]) and r.state_type in ('SCHEDULED', 'PAUSED')
     and ${holdsNothing(schema, 'r.process_id')}`;

/**
 * The flow runs `$1`, and all within them. Whatever a root run has called, however deep, names it: that finds them all by
 * one look at an index; whose task called which then tells those within a subflow from the others. Rides
 * `flow_run_root_idx` and `task_run_pkey`.
 */
export const flowRunsWithin = (schema: string): string => `
  with recursive root as materialized (
    select distinct r.root_flow_run_id as id from ${schema}.flow_run r where r.id = any($1::uuid[])
  ), called as materialized (
    select r.id, t.flow_run_id as caller_id
      from root
      join ${schema}.flow_run r on r.root_flow_run_id = root.id and r.parent_task_run_id is not null
      join ${schema}.task_run t on t.id = r.parent_task_run_id
  ), within(id) as (
    select unnest($1::uuid[])
    union
    select c.id from within w join called c on c.caller_id = w.id
  )
  select id from within order by id`;

/** Lets go of those of the runs `$1` that have ended and that the process `$2` holds. */
export const releaseEnded = (schema: string): string => `
  with ended as materialized (
    select r.id
      from ${schema}.flow_run r
     where r.id = any($1::uuid[]) and r.process_id = $2 and r.state_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
     order by r.id
       for no key update
  )
  update ${schema}.flow_run r set process_id = null, updated = now() from ended where r.id = ended.id`;
