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
