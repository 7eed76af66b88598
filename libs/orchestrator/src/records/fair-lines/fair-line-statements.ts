/**
 * Whether runs of an application may wait in lines and be due: then they are taken by the functions that take them in turn.
 * Two looks at small tables, which have no row where nobody uses keys.
 *
 * @param until what is due: a bound of the index.
 */
export const areLinesAwake = (schema: string, app: string, until: string): string => `
    (exists (select from ${schema}.fair_news n where n.app = ${app})
     or exists (select from ${schema}.fair_line l where l.app = ${app} and l.wakes_at is null)
     or exists (select from ${schema}.fair_line l where l.app = ${app} and l.wakes_at is not null and l.wakes_at <= ${until}))`;

/**
 * Tells of the lines in which some of these runs wait: one row for each line. Whoever takes runs hears of it together with
 * the runs, because both are written by one transaction; nobody waits for anybody.
 *
 * @param runs a relation with the columns of `flow_run`.
 */
export const newsOfRuns = (schema: string, runs: string): string => `
    insert into ${schema}.fair_news (app, line_id, lane, priority, flow_id, deployment_id, key, weight, due_at)
    select n.app, n.fair_line_id, coalesce(n.work_queue_id::text, ''), n.priority, n.flow_id, n.deployment_id, n.fairness_key,
           max(n.fairness_weight), min(n.next_scheduled_start_time)
      from ${runs} n
     where n.fair_line_id is not null and not n.awaits_turn
     group by n.app, n.fair_line_id, n.work_queue_id, n.priority, n.flow_id, n.deployment_id, n.fairness_key`;

/** When somebody should look at the lines of a lane that have runs of these flows: one row, at least. */
export const nextLine = (
  schema: string,
  { app, lane, flowIds }: { readonly app: string; readonly lane: string; readonly flowIds: string },
): string => `
      select case
               when exists (select from ${schema}.fair_news n where n.app = ${app}) then to_timestamp(0)
               when exists (
                 select from ${schema}.fair_line l
                  where l.app = ${app} and l.lane = ${lane} and l.wakes_at is null and l.flow_id = any(${flowIds}::uuid[])
                    and (l.deployment_id is null or l.deployment_id <> all(${schema}.fair_full(${app})))) then to_timestamp(0)
               else (select min(l.wakes_at) from ${schema}.fair_line l
                      where l.app = ${app} and l.lane = ${lane} and l.wakes_at is not null
                        and l.flow_id = any(${flowIds}::uuid[])) end`;
