import { newsOfRuns } from '../fair-lines/fair-line-statements.js';

/**
 * Deletes runs that wait and that nobody has taken, with their states and keys: whoever asks for such a run again gets a new one.
 * Locks the runs in the order of their ids; one that is being claimed at that moment is waited for, and stays. Of runs of
 * schedules it rides `flow_run_schedule_idx`.
 *
 * @param condition which runs, as `r`.
 */
export const deleteMadeRuns = (schema: string, condition: string): string => `
  with gone as materialized (
    select r.id
      from ${schema}.flow_run r
     where ${condition}
       and r.state_type = 'SCHEDULED' and r.process_id is null and r.run_count = 0 and r.parent_task_run_id is null
     order by r.id
       for update
  ), runs as (
    delete from ${schema}.flow_run r using gone where r.id = gone.id returning r.id
  ), states as (
    delete from ${schema}.flow_run_state s using gone where s.flow_run_id = gone.id
  ), keys as (
    delete from ${schema}.run_key k using gone where k.flow_run_id = gone.id
  )
  select count(*) from runs`;

/**
 * Lets the runs be claimed that await their turns and whose schedules, of `$1`, are gone. Those that have keys join their lines.
 * Locks them in the order of their ids; rides `flow_run_schedule_idx`.
 */
export const releaseForsaken = (schema: string): string => `
  with forsaken as materialized (
    select r.id
      from ${schema}.flow_run r
     where r.schedule_id = any($1::uuid[]) and r.awaits_turn and r.state_type = 'SCHEDULED'
       and not exists (select from ${schema}.deployment_schedule s where s.id = r.schedule_id)
     order by r.id
       for no key update of r
  ), released as (
    update ${schema}.flow_run r set awaits_turn = false, updated = clock_timestamp()
      from forsaken where r.id = forsaken.id
    returning r.*
  )
  ${newsOfRuns(schema, 'released')}`;
