import type { TestDatabase } from '@nestor/testing';
import { sql } from './sql.js';

/** The names of the states a run has been in, oldest first, as the database has them. */
export async function stateNames(database: TestDatabase, runId: string): Promise<string[]> {
  const rows = await sql<{ name: string }>(
    database,
    `select name from (select flow_run_id as run_id, name, timestamp from nestor.flow_run_state
                       union all select task_run_id, name, timestamp from nestor.task_run_state) as states
      where run_id = $1 order by timestamp`,
    [runId],
  );
  return rows.map((row) => row.name);
}

/** A task run as its row has it. */
export interface StoredTaskRun {
  readonly id: string;
  readonly name: string;
  readonly flow_run_id: string | null;
  readonly parent_task_run_id: string | null;
  readonly task_key: string;
  readonly dynamic_key: string;
  readonly state_type: string;
  readonly state_name: string;
  readonly run_count: number;
  readonly result: unknown;
}

/** The task runs of a flow run in the order in which they were called. */
export function taskRunsOf(database: TestDatabase, flowRunId: string): Promise<StoredTaskRun[]> {
  return sql<StoredTaskRun>(database, 'select * from nestor.task_run where flow_run_id = $1 order by id', [flowRunId]);
}

/**
 * What is wrong with the histories in the database: runs whose current state is not the last of their history, states
 * that do not follow the one before, moves that no run makes. Empty when all is well (invariant I6).
 */
export async function illegalHistories(database: TestDatabase): Promise<unknown[]> {
  const problems: unknown[] = [];
  for (const run of ['flow_run', 'task_run'] as const) {
    problems.push(
      ...(await sql(
        database,
        `with history as (
           select ${run}_id as run_id, id, type, name, timestamp, follows,
                  lag(id) over w as before_id, lag(type) over w as before_type,
                  row_number() over (partition by ${run}_id order by timestamp desc) as from_end
             from nestor.${run}_state
           window w as (partition by ${run}_id order by timestamp)
         )
         select '${run}' as run, h.run_id, h.before_type, h.type, h.name
           from history h left join nestor.${run} r on r.id = h.run_id
          where h.follows is distinct from h.before_id
             or (h.from_end = 1 and (r.id is null or r.state_id is distinct from h.id or r.state_type <> h.type
                                     or r.state_timestamp <> h.timestamp))
             or (h.before_type is null) <> (h.type = 'PENDING')
             or h.before_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')`,
      )),
      ...(await sql(
        database,
        `select '${run}' as run, id as run_id, 'no history' as problem from nestor.${run} r
          where not exists (select from nestor.${run}_state s where s.${run}_id = r.id)`,
      )),
    );
  }
  return problems;
}
