import { holdsNothing } from '../processes/process-death.js';

/** What is told of an order, of the row `i`. */
const ORDER = `i.id, i.flow_run_id as "flowRunId", i.work_pool_name as "workPoolName", i.type, i.identifier, i.attempts`;

/**
 * Notes what was started for the run `$2` under the epoch `$3`. It is noted with the name of its pool, because who ends it
 * in the place of its worker is somebody who serves that. Rides `flow_run_pkey`.
 */
export const noteStarted = (schema: string): string => `
  insert into ${schema}.infrastructure (id, app, flow_run_id, lease_epoch, work_pool_name, type, identifier, process_id)
  select $1::uuid, r.app, r.id, $3::integer, p.name, $4::text, $5::text, $6::uuid
    from ${schema}.flow_run r
    left join ${schema}.work_queue q on q.id = r.work_queue_id
    left join ${schema}.work_pool p on p.id = q.work_pool_id
   where r.id = $2::uuid
  on conflict (flow_run_id, lease_epoch) do update set identifier = excluded.identifier`;

/** The condition that nobody looks after `i`: a worker whose process lives ends it itself. */
const isLeft = (schema: string): string => holdsNothing(schema, 'i.process_id');

/**
 * The condition that the run `r`, if it is there, needs the infrastructure `i` no more, which may go on all the same; what
 * brought its run to an end has come to its own with that. It was submitted under the epoch of that, and taken over by it
 * under the next one: a run that has gone on beyond goes on elsewhere, and so does one that waits to be taken since. In the
 * epoch in which it was taken over it may wait, for its next attempt, within its infrastructure.
 */
const IS_NEEDLESS = `
  (r.id is null
   or r.state_type in ('CRASHED', 'CANCELLED')
   or r.lease_epoch > i.lease_epoch + 1
   or r.state_type = 'SCHEDULED' and r.process_id is null and r.lease_epoch > i.lease_epoch)`;

/**
 * Takes up to `$4` that no run needs: of the application `$1`, of the types `$2`, of the pools `$3`, and of workers whose
 * processes are fenced or gone, because one that lives ends it itself. For `$5` milliseconds nobody else takes them. Locks
 * what it takes, and skips what others are taking. Rides `infrastructure_type_idx`; there is as much as is going on.
 */
export const claimNeedless = (schema: string): string => `
  with due as materialized (
    select i.id
      from ${schema}.infrastructure i
      left join ${schema}.flow_run r on r.id = i.flow_run_id
     where i.app = $1 and i.type = any($2::text[]) and i.dead_at is null
       and (i.work_pool_name is null or i.work_pool_name = any($3::text[]))
       and (i.due_at is null or i.due_at <= clock_timestamp())
       and ${isLeft(schema)}
       and ${IS_NEEDLESS}
     order by i.id
     limit $4
       for update of i skip locked
  ), claimed as (
    update ${schema}.infrastructure i
       set attempts = i.attempts + 1, due_at = clock_timestamp() + $5 * interval '1 millisecond'
      from due
     where i.id = due.id
    returning ${ORDER}
  )
  select * from claimed order by id`;

/** Forgets what brought its run to an end without its worker, of the types `$2`. Skips what somebody else has locked. */
export const forgetFinished = (schema: string): string => `
  delete from ${schema}.infrastructure d
   where d.id in (
     select i.id
       from ${schema}.infrastructure i
       join ${schema}.flow_run r on r.id = i.flow_run_id
      where i.app = $1 and i.type = any($2::text[]) and i.dead_at is null
        and r.state_type in ('COMPLETED', 'FAILED') and ${isLeft(schema)}
      order by i.id
        for update of i skip locked)`;

/** What came of the attempt `$2` to end `$1`, unless somebody else has tried again since; tells of what is given up by it. */
export const failTearDown = (schema: string): string => `
  with failed as (
    update ${schema}.infrastructure i
       set error = $3::text, due_at = clock_timestamp() + $5 * interval '1 millisecond',
           dead_at = case when i.attempts >= $4 then clock_timestamp() end
     where i.id = $1::uuid and i.attempts = $2 and i.dead_at is null
    returning ${ORDER}, i.error, i.dead_at
  )
  select * from failed where dead_at is not null`;

/** Gives up what was tried `$3` times by somebody who never said what came of it. Skips what somebody else has locked. */
export const buryLapsed = (schema: string): string => `
  with lapsed as materialized (
    select i.id
      from ${schema}.infrastructure i
     where i.app = $1 and i.type = any($2::text[]) and i.dead_at is null
       and i.attempts >= $3 and i.due_at <= clock_timestamp()
     order by i.id
       for update of i skip locked
  ), buried as (
    update ${schema}.infrastructure i
       set dead_at = clock_timestamp(), error = coalesce(i.error, 'Whoever was about it has died.')
      from lapsed
     where i.id = lapsed.id
    returning ${ORDER}, i.error
  )
  select * from buried`;
