import { FENCE_WIDTH, finalLeaseCheck, leaseCheck, singleLeaseCheck } from '../lease-check.js';
import { holdsNothing } from '../processes/process-death.js';
import { RowSet, type RowColumn } from '../row-set.js';
import { storedPolicy, storedTags } from '../stored-run.js';
import { instantParameter, newStates, STATE_COLUMNS } from '../stored-state.js';
import type { BriefHistory, TaskRunWrite } from './task-run-rows.js';

/** A task that takes its time is written when it runs, and when it has ended. */
export const LONE_STATES = [1, 2] as const;

const taskRunColumns: readonly RowColumn<TaskRunWrite>[] = [
  ['id', 'uuid', ({ created }) => created.id],
  ['flow_run_id', 'uuid', ({ created }) => created.flowRunId],
  ['parent_task_run_id', 'uuid', ({ created }) => created.parentTaskRunId],
  ['name', 'text', ({ created }) => created.name],
  ['task_key', 'text', ({ created }) => created.taskKey],
  ['dynamic_key', 'text', ({ created }) => created.dynamicKey],
  ['task_version', 'text', ({ created }) => created.taskVersion],
  ['task_inputs', 'jsonb', ({ created }) => (created.inputs === null ? '{}' : JSON.stringify(created.inputs))],
  ['tags', 'jsonb', ({ created }) => storedTags(created.tags)],
  ['empirical_policy', 'jsonb', ({ run }) => storedPolicy(run.policy)],
  ['flow_run_run_count', 'integer', ({ run }) => run.flowRunRunCount],
  ['result', 'json', ({ result }) => result],
  ['state_id', 'uuid', ({ run }) => run.state?.id ?? null],
  ['state_type', 'text', ({ run }) => run.state?.type ?? null],
  ['state_name', 'text', ({ run }) => run.state?.name ?? null],
  ['state_timestamp', 'timestamptz', ({ run }) => instantParameter(run.state?.timestamp ?? null)],
  ['run_count', 'integer', ({ run }) => run.runCount],
  ['expected_start_time', 'timestamptz', ({ run }) => instantParameter(run.expectedStartTime)],
  ['next_scheduled_start_time', 'timestamptz', ({ run }) => instantParameter(run.nextScheduledStartTime)],
  ['start_time', 'timestamptz', ({ run }) => instantParameter(run.startTime)],
  ['end_time', 'timestamptz', ({ run }) => instantParameter(run.endTime)],
  ['total_run_time_us', 'bigint', ({ run }) => run.totalRunTimeUs],
  ['pending_state_id', 'uuid', ({ brief }) => brief?.pendingStateId ?? null],
  ['running_state_id', 'uuid', ({ brief }) => brief?.runningStateId ?? null],
];

const taskRunRows = new RowSet<TaskRunWrite>(taskRunColumns);
export const claimedRows = new RowSet<TaskRunWrite>([['claim', 'integer', ({ claim }) => claim], ...taskRunColumns]);

/**
 * One row per run and one per state, of the claims that hold. Most runs begin and end between two flushes and are written
 * once, with their history in the row; one that was written before is brought up to date. Rides `task_run_pkey`, one
 * partition per run. Writes in the order of the keys, so that two batches with the same runs, one of them a late repetition,
 * never wait for each other crosswise; and the later state stays, whichever of the two comes last.
 */
export const saveTaskRuns = (schema: string): string =>
  saveStatement(schema, {
    check: leaseCheck(schema),
    runs: claimedRows.source(FENCE_WIDTH + 1, 't'),
    states: newStates.source(FENCE_WIDTH + 1 + claimedRows.width, 's'),
  });

/**
 * The same for one run and a few states, as a sequence of tasks writes them. Arrays are the dearer way then: a statement that
 * takes its rows from thirty of them was measured to take half a millisecond longer than one that takes them as they are.
 */
export const saveLoneTaskRun = (schema: string, states: number): string =>
  saveStatement(schema, {
    check: singleLeaseCheck(schema),
    runs: claimedRows.values(FENCE_WIDTH + 1, 't', 1),
    states: newStates.values(FENCE_WIDTH + 1 + claimedRows.width, 's', states),
  });

/**
 * The same for one run that is there already and the state that it ends in, as the last statement of a transaction that the
 * application began; it tells besides whether the run was written.
 */
export const recordInTransaction = (schema: string): string =>
  saveStatement(schema, {
    check: finalLeaseCheck(schema),
    runs: claimedRows.values(FENCE_WIDTH + 1, 't', 1),
    states: newStates.values(FENCE_WIDTH + 1 + claimedRows.width, 's', 1),
    tellsSaved: true,
  });

/** How many parameters {@link recordInTransaction} takes. */
export const RECORD_WIDTH = FENCE_WIDTH + claimedRows.width + newStates.width;

/** A run that belongs to no flow run is missed when the process dies that writes it; the others have their root runs. */
const HOLDER = `
           case when flow_run_id is null and state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
                then $1::uuid end`;

const saveStatement = (
  schema: string,
  {
    check,
    runs,
    states,
    tellsSaved = false,
  }: { readonly check: string; readonly runs: string; readonly states: string; readonly tellsSaved?: boolean },
): string => `
  with ${check}, saved as (
    insert into ${schema}.task_run as r (${taskRunRows.names}, process_id)
    select ${taskRunRows.names}, ${HOLDER}
      from held
      cross join ${runs}
     where held.leases[t.claim]
     order by id
    on conflict (id) do update
       set updated = now(), name = excluded.name, flow_run_run_count = excluded.flow_run_run_count,
           result = excluded.result, state_id = excluded.state_id, state_type = excluded.state_type,
           state_name = excluded.state_name, state_timestamp = excluded.state_timestamp,
           run_count = excluded.run_count, next_scheduled_start_time = excluded.next_scheduled_start_time,
           start_time = excluded.start_time, end_time = excluded.end_time,
           total_run_time_us = excluded.total_run_time_us, process_id = excluded.process_id
     where r.state_timestamp is null or r.state_timestamp < excluded.state_timestamp${tellsSaved ? '\n    returning r.id' : ''}
  ), history as (
    insert into ${schema}.task_run_state (task_run_id, ${STATE_COLUMNS})
    select run_id, ${STATE_COLUMNS}
      from held
      cross join ${states}
     where held.leases[s.claim]
     order by run_id, timestamp
    on conflict do nothing
  )
  select leases${tellsSaved ? ', exists (select from saved) as saved' : ''} from held`;

/** Open runs outside any flow run whose process is fenced or gone: see {@link adoptTaskRuns}. */
export const orphanedTaskRuns = (schema: string): string => `
    select t.id
      from ${schema}.task_run t
     where t.process_id is not null
       and ${holdsNothing(schema, 't.process_id')}
       and not exists (select from ${schema}.task_queue q where q.task_run_id = t.id)
     order by t.process_id, t.id
     limit $2`;

/**
 * Takes over open runs outside any flow run whose process is fenced or gone, for `$1` to end; skips those that somebody else
 * is taking. Those from the queue are taken from there. Rides `task_run_process_idx` and `task_queue_pkey`.
 */
export const adoptTaskRuns = (schema: string): string => `
  with orphan as materialized (${orphanedTaskRuns(schema)}
       for no key update skip locked
  ), adopted as (
    update ${schema}.task_run t set process_id = $1::uuid, updated = now() from orphan where t.id = orphan.id returning t.id
  )
  select id from adopted`;

/** The parameters of {@link recordFirstSuccess} after those of the fence. */
export function firstSuccess(
  { created, run, result }: TaskRunWrite,
  { pendingStateId, runningStateId }: BriefHistory,
): (string | number | null)[] {
  return [
    ...[created.id, created.flowRunId, created.parentTaskRunId, created.name, created.taskKey, created.dynamicKey],
    ...[storedPolicy(run.policy), run.flowRunRunCount, result, run.totalRunTimeUs],
    ...[pendingStateId, runningStateId, run.state?.id ?? null],
    ...[run.expectedStartTime, run.startTime, run.endTime].map(instantParameter),
  ];
}

/**
 * One run that succeeded at once, with its brief history. What follows from that is written here and not sent; nothing is
 * looked for that could be there already, because the id is new: a repetition fails by `task_run_pkey`. That makes
 * it cheaper than the statement for anything.
 */
export const recordFirstSuccess = (schema: string): string => `
  with ${singleLeaseCheck(schema)}, saved as (
    insert into ${schema}.task_run (
      id, flow_run_id, parent_task_run_id, name, task_key, dynamic_key, empirical_policy, flow_run_run_count, result,
      total_run_time_us, run_count, pending_state_id, running_state_id, state_id, state_type, state_name, state_timestamp,
      expected_start_time, start_time, end_time)
    select $4::uuid, $5::uuid, $6::uuid, $7::text, $8::text, $9::text, $10::jsonb, $11::integer, $12::json, $13::bigint, 1,
           $14::uuid, $15::uuid, $16::uuid, 'COMPLETED', 'Completed', $19::timestamptz, $17::timestamptz, $18::timestamptz,
           $19::timestamptz
      from held
     where held.leases[1]
  )
  select held.leases[1] as held from held`;
