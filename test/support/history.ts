import type { TestDatabase } from '@nestor/testing';
import { sql } from './sql.js';

/** The names of the states a run has been in, oldest first, as the database has them. */
export async function stateNames(database: Pick<TestDatabase, 'url'>, runId: string): Promise<string[]> {
  const rows = await sql<{ name: string }>(
    database,
    `select name from (select flow_run_id as run_id, name, timestamp from nestor.flow_run_state
                       union all select task_run_id, name, timestamp from nestor.task_run_history) as states
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
  readonly tags: readonly string[];
  readonly task_inputs: Readonly<Record<string, readonly unknown[]>>;
}

/** The task runs of a flow run in the order in which they were called. */
export function taskRunsOf(database: Pick<TestDatabase, 'url'>, flowRunId: string): Promise<StoredTaskRun[]> {
  return sql<StoredTaskRun>(database, 'select * from nestor.task_run where flow_run_id = $1 order by id', [flowRunId]);
}

/** A task run or flow run of which a history may say more than the engine alone would make it say. */
interface Steered {
  /** Runs whose state somebody set by hand, past the rules: their history only has to hang together. */
  readonly forced?: readonly string[];
}

/**
 * What is wrong with the histories in the database: runs whose current state is not the last of their history, states
 * that do not follow the one before, moves that no run makes. Empty when all is well (invariant I6).
 *
 * An ended run moves on only where somebody retries or restarts it, or takes back what it did; a run begins in `PENDING`, unless
 * it is a fork, which is scheduled, or what a fork takes over, which is completed from the start; it comes there again only to
 * stay, when what it waits for does not complete. A background task waits in `SCHEDULED` first, and so does a flow run that was
 * enqueued; either is `PENDING` when it is taken.
 */
export async function illegalHistories(
  database: Pick<TestDatabase, 'url'>,
  { forced = [] }: Steered = {},
): Promise<unknown[]> {
  const historyOf = { flow_run: 'flow_run_state', task_run: 'task_run_history' } as const;
  const problems: unknown[] = [];
  for (const run of ['flow_run', 'task_run'] as const) {
    const isQueued = 'r.parameters is not null';
    const mayWait = run === 'flow_run' ? 'true' : isQueued;
    const beginnings =
      run === 'flow_run'
        ? `h.type = 'SCHEDULED' and h.message like 'Forked%'`
        : `h.name = 'Cached' or h.type = 'SCHEDULED' and ${isQueued}`;
    problems.push(
      ...(await sql(
        database,
        `with history as (
           select ${run}_id as run_id, id, type, name, message, timestamp, follows,
                  lag(id) over w as before_id, lag(type) over w as before_type,
                  row_number() over (partition by ${run}_id order by timestamp desc) as from_end
             from nestor.${historyOf[run]}
           window w as (partition by ${run}_id order by timestamp)
         )
         select '${run}' as run, h.run_id, h.before_type, h.type, h.name
           from history h left join nestor.${run} r on r.id = h.run_id
          where h.follows is distinct from h.before_id
             or (h.from_end = 1 and (r.id is null or r.state_id is distinct from h.id or r.state_type <> h.type
                                     or r.state_timestamp <> h.timestamp))
             or (h.before_type is null and h.type <> 'PENDING' and not (${beginnings}))
             or (h.run_id <> all ($1::uuid[])
                 and (h.before_type is not null and h.type = 'PENDING' and not (h.before_type = 'PENDING' and h.name in ('NotReady', 'Submitting'))
                      and not (h.before_type = 'SCHEDULED' and ${mayWait})
                      or h.before_type = 'CANCELLING' and h.type <> 'CANCELLED'
                      or h.before_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
                         and not (h.before_type = 'COMPLETED' and h.name = 'RolledBack')
                         and not (h.name = 'AwaitingRetry' and h.message ~ '^(Retried by hand|Restarted from)')))`,
        [forced],
      )),
      ...(await sql(
        database,
        `select '${run}' as run, id as run_id, 'no history' as problem from nestor.${run} r
          where not exists (select from nestor.${historyOf[run]} s where s.${run}_id = r.id)`,
      )),
    );
  }
  return problems;
}

/** A flow run as its row has it. */
interface StoredFlowRun {
  readonly id: string;
  readonly root_flow_run_id: string;
  readonly parent_task_run_id: string | null;
  readonly state_type: string;
  readonly state_name: string;
  readonly run_count: number;
  readonly process_id: string | null;
  readonly lease_epoch: number;
  readonly result: unknown;
  readonly empirical_policy: { readonly recoveries: number };
}

/** The row of a flow run. */
export async function flowRunOf(database: Pick<TestDatabase, 'url'>, id: string): Promise<StoredFlowRun> {
  const [row] = await sql<StoredFlowRun>(database, 'select * from nestor.flow_run where id = $1', [id]);
  if (!row) throw new Error(`There is no flow run ${id}.`);
  return row;
}

/** The runs that were called within a root run, however deep, in the order in which they were created. */
export function subflowRunsOf(database: Pick<TestDatabase, 'url'>, rootFlowRunId: string): Promise<StoredFlowRun[]> {
  return sql<StoredFlowRun>(
    database,
    'select * from nestor.flow_run where root_flow_run_id = $1 and id <> $1 order by created, id',
    [rootFlowRunId],
  );
}
