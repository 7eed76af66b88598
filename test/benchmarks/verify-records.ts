import type { Client } from 'pg';
import { withClient } from './server.js';

const COMPLETE_HISTORY = ['PENDING', 'RUNNING', 'COMPLETED'];

/**
 * Looks whether everything that was measured is there: n completed task runs with their whole history, and an event for
 * each state.
 *
 * @throws when something is missing: a figure for work that was not done is none.
 */
export async function verifyRecords(url: string, { flowRunId, n }: { flowRunId: string | null; n: number }) {
  const found = await withClient(url, (client) => count(client, flowRunId));
  const expected = { task_runs: n, completed: n, complete_histories: n, events: n * COMPLETE_HISTORY.length };
  for (const [what, wanted] of Object.entries(expected)) {
    const present = found[what as keyof typeof expected];
    if (present !== wanted) throw new Error(`Flow run ${flowRunId}: ${present} ${what}, there should be ${wanted}.`);
  }
}

/** The events are looked up by run, as the view is meant to be used: that rides the key of the history. */
async function count(client: Client, flowRunId: string | null) {
  const { rows: runs } = await client.query<{ id: string; state_type: string }>(
    'select id, state_type from nestor.task_run where flow_run_id = $1',
    [flowRunId],
  );
  const ids = runs.map(({ id }) => id);
  const { rows: histories } = await client.query<{ complete: number }>(
    `select count(*)::int as complete
       from (select from nestor.task_run_history where task_run_id = any($1::uuid[])
              group by task_run_id having array_agg(type order by timestamp) = $2::text[]) as histories`,
    [ids, COMPLETE_HISTORY],
  );
  const { rows: events } = await client.query<{ count: number }>(
    'select count(distinct id)::int as count from nestor.event_feed where run_id = any($1::uuid[])',
    [ids],
  );
  return {
    task_runs: runs.length,
    completed: runs.filter((run) => run.state_type === 'COMPLETED').length,
    complete_histories: histories[0]?.complete,
    events: events[0]?.count,
  };
}
