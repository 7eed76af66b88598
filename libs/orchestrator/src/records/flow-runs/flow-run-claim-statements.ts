import { gracePeriodOf } from '../concurrency-limits/grace-period.js';
import { areLinesAwake, nextLine } from '../fair-lines/fair-line-statements.js';
import { assumedFew, unnested } from '../row-set.js';

// How waiting runs are taken, and which is the next to be due.
//
// Runs wait in lanes: of no queue by application, of a queue by that; and in each by priority, because only within one priority
// does an index have the runs in the order in which they are due. A lane has few priorities, most have one.
//
// Runs that have a key wait beside these, in the line of their key, and are taken in turn by functions of the
// database: see migration 0018. Where lines have runs that are due, the statements here give nothing, so that neither
// kind keeps the other from going.

/** The time until which runs are due: a stable function of it, because only such is a bound of an index. */
const dueBy = (aheadUs: string): string => `statement_timestamp() + (${aheadUs})::bigint * interval '1 microsecond'`;

/**
 * Runs that nobody executes, and that are not to wait for others of their schedule, or of their key. Repeats the
 * predicates of the indexes.
 */
const WAITING = `r.state_type = 'SCHEDULED' and r.process_id is null and not r.awaits_turn and r.fair_line_id is null`;

/** Where runs wait of no queue. Rides `flow_run_free_idx`. */
const freeLane = (app: string): string => `${WAITING} and r.work_queue_id is null and r.app = ${app}`;

/** Where runs wait of a queue. Rides `flow_run_queued_idx`. */
const queueLane = (queueId: string): string => `${WAITING} and r.work_queue_id = ${queueId}`;

/**
 * Native runs of flows that this process has: no part of another run, none of another application in the same queue, and
 * none that another build has begun and is to go on with.
 */
const executable = (app: string, flowIds: string, buildId: string): string =>
  `r.root_flow_run_id = r.id and r.app = ${app} and r.flow_id = any(${flowIds}::uuid[])
           and (r.pinned_build_id is null or r.pinned_build_id = ${buildId} or r.run_count = 0)`;

/**
 * Whether a run waits for calls to stop (`SharingOptions.debounce`): as long as it is not due another call may put it off, and change what
 * it is called with. One look at the index, whatever is estimated: a plan that reads all such keys at once would be slow.
 * Rides `run_key_flow_run_idx`.
 */
const awaitsQuiet = (schema: string): string => `
           (select k.flow_id from ${schema}.run_key k
             where k.flow_run_id = r.id and k.key like 'nestor:debounce:%' limit 1) is not null`;

/** The priorities that runs in a lane have, in order: one look at the index for each. */
const prioritiesOf = (schema: string, lane: string): string => `
      with recursive step(priority) as (
        (select r.priority from ${schema}.flow_run r where ${lane} order by r.priority limit 1)
        union all
        select (select r.priority from ${schema}.flow_run r
                 where ${lane} and r.priority > step.priority order by r.priority limit 1)
          from step where step.priority is not null
      ) select priority from step where priority is not null`;

/** The ids of runs in a lane that are due, in order, locked; those that somebody else is taking are skipped. */
const dueIn = (schema: string, lane: string, which: string, { until, limit }: Due): string => `
      select d.id
        from (${prioritiesOf(schema, lane)}) as p
       cross join lateral (
         select r.id
           from ${schema}.flow_run r
          where ${lane} and r.priority = p.priority and r.next_scheduled_start_time <= ${until} and ${which}
          order by r.next_scheduled_start_time, r.id
          limit ${limit}
            for no key update skip locked) as d
       limit ${limit}`;

interface Due {
  readonly until: string;
  readonly limit: string;
}

/**
 * Gives the runs in `due (id, place, is_limited)` to the process `$1`, each in a new epoch, and all that is needed to begin
 * them. A lease changes hands, no state does. One that never ran is pinned to this build, or to none, as its flow says.
 */
const claimed = (schema: string, { buildId, pinnedFlowIds }: Claimant): string => `
  claimed as (
    update ${schema}.flow_run r
       set process_id = $1::uuid, lease_epoch = r.lease_epoch + 1, updated = clock_timestamp(),
           pinned_build_id = case when r.run_count > 0 then r.pinned_build_id
                                  when r.flow_id = any(${pinnedFlowIds}::uuid[]) then ${buildId} end
      from due
     where r.id = due.id and ${assumedFew('due.id')}
    returning ${CLAIMED_COLUMNS}, due.place, due.is_limited
  )
  select ${claimedSelection('c')}
    from claimed c
   order by c.place`;

/** What is needed to begin runs. */
const CLAIMED_COLUMNS = `
              r.id, r.flow_id, r.app, r.root_flow_run_id, r.parent_task_run_id, r.deployment_id, r.work_queue_id,
              r.name, r.flow_version, r.build_id, r.encoding_version, r.parameters, r.tags, r.empirical_policy,
              r.infrastructure_pid, r.job_variables, r.state_id, r.state_type, r.state_name, r.state_timestamp, r.run_count,
              r.expected_start_time, r.next_scheduled_start_time, r.start_time, r.end_time, r.total_run_time_us,
              r.lease_epoch, r.fairness_key`;

const claimedSelection = (due: string): string => `
         c.id, c.flow_id as "flowId", c.app, c.root_flow_run_id as "rootFlowRunId",
         c.parent_task_run_id as "parentTaskRunId", c.deployment_id as "deploymentId", c.work_queue_id as "workQueueId",
         c.name, c.flow_version as "flowVersion", c.build_id as "buildId", c.encoding_version as "encodingVersion",
         c.parameters, c.tags, c.empirical_policy as "empiricalPolicy", c.infrastructure_pid as "infrastructurePid",
         c.job_variables as "jobVariables", c.run_count as "runCount", c.expected_start_time as "expectedStartTime",
         c.next_scheduled_start_time as "nextScheduledStartTime", c.start_time as "startTime", c.end_time as "endTime",
         c.total_run_time_us as "totalRunTimeUs", c.lease_epoch as "leaseEpoch",
         ${due}.is_limited or (c.fairness_key is not null and c.deployment_id is not null) as "isLimited",
         c.state_id as "stateId", c.state_type as "stateType", c.state_name as "stateName",
         c.state_timestamp as "stateTimestamp"`;

/** What the rows of runs do not say of their states: of the runs `$1`, which are in states that they entered at `$2`. */
export const statesOfFlowRuns = (schema: string): string => `
  select s.id, s.message, s.state_details as "stateDetails"
    from (${unnested(1, ['uuid', 'timestamptz'], 'flow_run_id, timestamp')}) as r
    join ${schema}.flow_run_state s on s.flow_run_id = r.flow_run_id and s.timestamp = r.timestamp
   where ${assumedFew('r.flow_run_id')}`;

/**
 * Runs `$2` that the process `$1` has just taken in turn, in that order, with all that is needed to begin them; `$3` says
 * which of them count against a limit. Those that it has no more are left out. Rides `flow_run_pkey`.
 */
export const takenFlowRuns = (schema: string): string => `
  select ${claimedSelection('due')}
    from (${unnested(2, ['uuid', 'boolean'], 'id, is_limited, place', true)}) as due
    join ${schema}.flow_run c on c.id = due.id and c.process_id = $1::uuid
   where ${assumedFew('due.id')}
   order by due.place`;

/**
 * Takes up to `$4` due runs of no queue in turn, those with a key and those without: parameters as for
 * {@link claimFreeFlowRuns}. Tells which; they are read afterwards, so that others who take runs wait for
 * nothing but this statement.
 */
export const takeFreeFlowRuns = (schema: string): string => `
  select run_id::text as id, is_limited as "isLimited"
    from ${schema}.fair_claim_free($1, $2, $3::uuid[], $4, $5::bigint, $6, $7::uuid[])`;

/** The same from queues: parameters as for {@link claimQueuedFlowRuns}. */
export const takeQueuedFlowRuns = (schema: string): string => `
  select run_id::text as id, is_limited as "isLimited"
    from ${schema}.fair_claim_queued($1, $2, $3::uuid[], $4, $5::bigint, $6, $7, $8::text[], $9::bigint, $10, $11::uuid[])`;

/** What is to be known of who takes runs, as parameters. */
interface Claimant {
  readonly buildId: string;
  /** The flows of which each run that has begun is for one build alone. */
  readonly pinnedFlowIds: string;
}

/** Nobody takes anything for a process that is fenced; the lock is that of `leaseCheck`. */
const me = (schema: string): string => `
  me as materialized (
    select id from ${schema}.process where id = $1::uuid and fenced_at is null for key share
  )`;

/**
 * Takes up to `$4` due runs of no queue for the process `$1`: of the application `$2`, of the flows `$3`, by priority and then
 * the oldest first. Skips those that somebody else is taking. `$5`: see `DatabaseClock.leadUs`; `$6`: its
 * build, `$7`: the flows whose runs are pinned to that.
 */
export const claimFreeFlowRuns = (schema: string): string => `
  with ${me(schema)}, due as materialized (
    select d.id, row_number() over () as place, false as is_limited
      from me
     cross join lateral (${dueIn(schema, freeLane('$2'), executable('$2', '$3', '$6'), {
       until: dueBy('$5'),
       limit: '$4',
     })}) as d
     where not ${areLinesAwake(schema, '$2', dueBy('$5'))}
  ), ${claimed(schema, { buildId: '$6', pinnedFlowIds: '$7' })}`;

/**
 * Takes the one run `$4`, which somebody has named, if it is one that {@link claimFreeFlowRuns} could take: the
 * other parameters as there. It is looked up by its key, instead of in the lane, and the commit is not waited for to
 * reach the disk: see migrations 0021 and 0023. Rides `flow_run_pkey`, in one partition.
 */
export const claimNamedFlowRun = (schema: string): string => `
  select ${claimedSelection('c')}
    from (select r.*, false as is_limited
            from ${schema}.claim_named($1, $2, $3::uuid[], $4, $5::bigint, $6, $7::uuid[]) as r) as c`;

/** A pool, or a queue, together with how many of its runs count against a limit: those that somebody has, or executes. */
const occupied = (schema: string, queues: string): string => `
    (select count(*)::integer
       from ${schema}.flow_run r
      where r.work_queue_id = any(${queues})
        and r.work_queue_id is not null
        and (r.process_id is not null or r.state_type in ('PENDING', 'RUNNING', 'CANCELLING')))`;

/**
 * Locks the pool `$1` if it has a limit, or a queue of it has, until the end of the transaction: whoever claims in it next counts
 * what was claimed before. In a statement of its own, before {@link claimQueuedFlowRuns} looks. Rides `work_pool_name_key`.
 */
export const lockLimitedPool = (schema: string): string => `
  select p.id
    from ${schema}.work_pool p
   where p.name = $1
     and (p.concurrency_limit is not null
          or exists (select from ${schema}.work_queue q where q.work_pool_id = p.id and q.concurrency_limit is not null))
     for no key update`;

/**
 * Takes up to `$4` due runs for the process `$1` from the queues `$8` (`null`: all) of the pool `$6` of the type `$7`, and never
 * more than pool and queue have room for: of the application `$2`, of the flows `$3`, by priority of the queue, then of the run,
 * then the oldest first. Of queues without a limit also those that are due within `$9` microseconds, unless they wait for calls to
 * stop. `$5`: see `DatabaseClock.leadUs`; `$10`: its build, `$11`: the flows whose runs are pinned to that.
 *
 * Rides `work_pool_name_key`, `flow_run_queued_idx`, and `flow_run_occupying_idx` where something is limited;
 * `run_key_flow_run_idx` for what is not due. A queue is looked at when those before it gave too little, so that no more is locked
 * than is taken.
 */
export const claimQueuedFlowRuns = (schema: string): string => `
  with ${me(schema)}, pool as materialized (
    select p.id, p.concurrency_limit is not null as is_limited,
           greatest(0, least($4::integer, p.concurrency_limit - case when p.concurrency_limit is not null then
             ${occupied(schema, `array(select q.id from ${schema}.work_queue q where q.work_pool_id = p.id)`)} end)) as room
      from ${schema}.work_pool p
     where p.name = $6 and p.type = $7 and not p.is_paused
  ), queue as materialized (
    select q.id, q.priority, pool.is_limited or q.concurrency_limit is not null as is_limited,
           greatest(0, least(pool.room, q.concurrency_limit - case when q.concurrency_limit is not null then
             ${occupied(schema, 'array[q.id]')} end)) as room
      from me
     cross join pool
      join ${schema}.work_queue q on q.work_pool_id = pool.id
     where not q.is_paused and ($8::text[] is null or q.name = any($8::text[]))
  ), due as materialized (
    select t.id, row_number() over () as place, t.is_limited
      from (
        select d.id, q.is_limited
          from (select * from queue order by priority) as q
         cross join lateral (${dueIn(schema, queueLane('q.id'), takenBy(schema), {
           until: dueBy('$5::bigint + case when q.is_limited then 0 else $9::bigint end'),
           limit: 'q.room',
         })}) as d
         limit (select room from pool)) as t
     where not ${areLinesAwake(schema, '$2', dueBy('$5'))}
  ), ${claimed(schema, { buildId: '$10', pinnedFlowIds: '$11' })}`;

/** What may be taken that is due by then: of what is not due yet, nothing that waits for calls to stop. */
const takenBy = (schema: string): string =>
  `${executable('$2', '$3', '$10')} and (r.next_scheduled_start_time <= ${dueBy('$5')} or not ${awaitsQuiet(schema)})`;

/**
 * Whether runs of the pool `$4` of the type `$5` wait for calls to stop and are due within `$3` microseconds, and not yet: of the
 * application `$1`. `$2`: see `DatabaseClock.leadUs`; `$6`: of these queues, `null`: of all. Rides `flow_run_queued_idx`, and
 * `run_key_flow_run_idx` for each run that is due by then.
 */
export const quietAwaitingFlowRuns = (schema: string): string => `
  select exists (
    select from ${schema}.work_pool p
      join ${schema}.work_queue q on q.work_pool_id = p.id
     cross join lateral (${prioritiesOf(schema, queueLane('q.id'))}) as lane
     cross join lateral (
       select r.id from ${schema}.flow_run r
        where ${queueLane('q.id')} and r.priority = lane.priority and r.app = $1
          and r.next_scheduled_start_time > ${dueBy('$2')} and r.next_scheduled_start_time <= ${dueBy('$2::bigint + $3::bigint')}
          and ${awaitsQuiet(schema)}
        limit 1) as one
     where p.name = $4 and p.type = $5 and ($6::text[] is null or q.name = any($6::text[]))) as "areSome"`;

/** The earliest run in a lane, whether due or not; what of it is none that can be taken is passed over. */
const earliestIn = (schema: string, lane: string, which: string): string => `
      select d.next_scheduled_start_time
        from (${prioritiesOf(schema, lane)}) as p
       cross join lateral (
         select r.next_scheduled_start_time
           from ${schema}.flow_run r
          where ${lane} and r.priority = p.priority and ${which}
          order by r.next_scheduled_start_time, r.id
          limit 1) as d`;

const msUntil = (earliest: string, aheadUs: string): string =>
  `case when ${earliest} is not null then
     (greatest(0, extract(epoch from ${earliest} - (${dueBy(aheadUs)}))) * 1000)::float8 end`;

/**
 * When the next run is due that {@link claimFreeFlowRuns} or {@link takeFreeFlowRuns} could take, `null` when none waits;
 * and whether lines have some by now.
 */
export const nextFreeFlowRun = (schema: string): string => `
  select ${msUntil('min(e.next_scheduled_start_time)', '$3')} as ms,
         ${areLinesAwake(schema, '$1', dueBy('$3'))} as "inTurn"
    from (${earliestIn(schema, freeLane('$1'), executable('$1', '$2', '$4'))}
           union all ${nextLine(schema, { app: '$1', lane: `''`, flowIds: '$2' })}) as e(next_scheduled_start_time)`;

const askedFor = `${executable('$1', '$2', '$7')} and not ($8 and r.auto_scheduled)`;

/**
 * The same for {@link claimQueuedFlowRuns} and {@link takeQueuedFlowRuns}, if there is room for it. For room somebody else
 * makes, the process that makes it gives a hint. `$8`: only those that somebody asked for, and that have no keys. `$9`: for
 * whoever takes runs so many microseconds ahead of their time; those that are not taken so are told of so much later: where
 * something is limited, with keys, and those that wait for calls to stop.
 */
export const nextQueuedFlowRun = (schema: string): string => `
  select ${msUntil('min(e.next_scheduled_start_time)', '$3')} as ms,
         ${areLinesAwake(schema, '$1', dueBy('$3'))} as "inTurn"
    from ${schema}.work_pool p
    join ${schema}.work_queue q on q.work_pool_id = p.id
   cross join lateral (
     select a.next_scheduled_start_time
       from (${earliestIn(schema, queueLane('q.id'), `${askedFor} and ($9::bigint = 0 or not ${awaitsQuiet(schema)})`)}) as a
      where $9::bigint = 0 or p.concurrency_limit is null and q.concurrency_limit is null
      union all
     select later.at + $9::bigint * interval '1 microsecond'
       from (${earliestIn(schema, queueLane('q.id'), askedFor)}) as later(at)
      where $9::bigint > 0
      union all
     select l.at + $9::bigint * interval '1 microsecond'
       from (${nextLine(schema, { app: '$1', lane: 'q.id::text', flowIds: '$2' })}) as l(at)
      where not $8) as e(next_scheduled_start_time)
   where p.name = $4 and p.type = $5 and not p.is_paused and not q.is_paused
     and ($6::text[] is null or q.name = any($6::text[]))
     and (p.concurrency_limit is null or p.concurrency_limit >
          ${occupied(schema, `array(select o.id from ${schema}.work_queue o where o.work_pool_id = p.id)`)})
     and (q.concurrency_limit is null or q.concurrency_limit > ${occupied(schema, 'array[q.id]')})`;

/** Lets go of runs that the process `$1` holds under these epochs; their states stay as they are. */
export const releaseFlowRuns = (schema: string): string => `
  with held as materialized (
    select r.id
      from ${schema}.flow_run r
      join (${unnested(2, ['uuid', 'integer'], 'id, epoch')}) as h on h.id = r.id
     where r.lease_epoch = h.epoch and r.process_id = $1::uuid and ${assumedFew('h.id')}
     order by r.id
       for no key update of r
  )
  update ${schema}.flow_run r
     set process_id = null, lease_epoch = r.lease_epoch + 1, updated = now()
    from held
   where r.id = held.id
  returning r.work_queue_id`;

/**
 * Takes the run `$2` for the process `$1` from the worker that submitted it under the epoch `$3`, once: of the
 * application `$4`, and as long as it is about to begin. `$5`, `$6`: as for {@link claimFreeFlowRuns}, `$6` and
 * `$7`. Rides `flow_run_pkey`.
 */
export const takeSubmittedFlowRun = (schema: string): string => `
  with ${me(schema)}, due as materialized (
    select r.id, 1 as place, r.work_queue_id is not null as is_limited
      from me
     cross join ${schema}.flow_run r
     where r.id = $2::uuid and r.lease_epoch = $3 and r.state_type = 'PENDING' and r.app = $4
       for no key update of r
  ), ${claimed(schema, { buildId: '$5', pinnedFlowIds: '$6' })}`;

/** What there is to know of a run that infrastructure is started for. */
export const jobOfFlowRun = (schema: string): string => `
  select p.base_job_template as "template", d.job_variables as "deploymentVariables", r.job_variables as "runVariables"
    from ${schema}.flow_run r
    left join ${schema}.work_queue q on q.id = r.work_queue_id
    left join ${schema}.work_pool p on p.id = q.work_pool_id
    left join ${schema}.deployment d on d.id = r.deployment_id
   where r.id = $1`;

/**
 * Runs of queues that have been submitted for longer than `$2` milliseconds and have not begun; those that hold slots of a
 * deployment, for longer than its grace period, if that is less. Rides `flow_run_active_idx`.
 */
export const stuckFlowRuns = (schema: string): string => `
  select r.id, r.state_id as "stateId"
    from ${schema}.flow_run r
    left join ${schema}.deployment d on d.id = r.deployment_id and d.concurrency_limit is not null
   where r.state_type = 'PENDING' and r.app = $1 and r.work_queue_id is not null
     and r.state_timestamp < ${dueBy('$4')} - interval '1 millisecond' *
           case when d.id is null then $2::float8 else least($2::float8, ${gracePeriodOf('d')} * 1000) end
   order by r.id
   limit $3`;

/** As `gone` the queues that are gone and in which runs wait. Looks at one run of each queue in which any waits. */
const goneQueues = (schema: string): string => `
  with recursive step(id) as (
    (select r.work_queue_id from ${schema}.flow_run r
      where ${WAITING} and r.work_queue_id is not null order by r.work_queue_id limit 1)
    union all
    select (select r.work_queue_id from ${schema}.flow_run r
             where ${WAITING} and r.work_queue_id > step.id order by r.work_queue_id limit 1)
      from step where step.id is not null
  ), gone as (
    select s.id from step s
     where s.id is not null and not exists (select from ${schema}.work_queue q where q.id = s.id)
  )`;

/** Lines of queues that are gone. */
const isLineOfGoneQueue = (schema: string): string =>
  `l.lane <> '' and not exists (select from ${schema}.work_queue q where q.id = l.lane::uuid)`;

/** Whatever {@link freeMisplacedFlowRuns} would free. */
export const misplacedFlowRuns = (schema: string): string => `
  ${goneQueues(schema)}
  select id from gone union all select l.id from ${schema}.fair_line l where ${isLineOfGoneQueue(schema)}`;

/** Where a run goes on waiting whose queue is gone: where its deployment has its runs wait, if it has one, or in none. */
const placeLeft = (schema: string): string => `(work_queue_id, work_queue_name) = (
         select q.id, q.name
           from ${schema}.deployment d
           join ${schema}.work_queue q on q.id = d.work_queue_id
          where d.id = r.deployment_id)`;

/**
 * Runs that wait in queues that are gone wait on where their deployments say, or in none, and in no line: they were put there
 * while the queue was removed, or somebody executed them then. Rides `flow_run_queued_idx`.
 */
export const freeMisplacedFlowRuns = (schema: string): string => `
  ${goneQueues(schema)}, freed as (
    update ${schema}.flow_run r
       set ${placeLeft(schema)}, updated = now()
      from gone
     where r.work_queue_id = gone.id and ${WAITING}
    returning 1
  ), line as (
    delete from ${schema}.fair_line l
     where ${isLineOfGoneQueue(schema)}
    returning l.id
  ), left_line as (
    update ${schema}.flow_run r
       set ${placeLeft(schema)}, fair_line_id = null, updated = now()
      from line
     where r.fair_line_id = line.id and r.state_type = 'SCHEDULED' and r.process_id is null
    returning 1
  )
  select ((select count(*) from freed) + (select count(*) from left_line))::integer as count`;
