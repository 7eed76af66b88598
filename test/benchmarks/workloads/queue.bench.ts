import { Flows } from '@nestor/orchestrator';
import type { Client } from 'pg';
import { withProviders } from '../app.js';
import { askChild } from '../child.js';
import { Limit, perSecond } from '../limit.js';
import { QueueFlows } from '../queue-flows.js';
import { inRounds, type Round } from '../rounds.js';
import { withClient } from '../server.js';
import type { Workload } from '../workload.js';

/** Callers that each enqueue one run after another, as the handlers of requests do. */
const CALLERS = 100;
/** Of the runs that many are enqueued one by one, the others at once. */
const SHARE_ONE_BY_ONE = 0.2;

export const queue: Workload = {
  name: 'queue',
  about: `n no-op runs, enqueued at once and one by one (${CALLERS} callers), then drained by one worker process`,
  defaultN: 50_000,
  measure: (server, { n }) =>
    server.withDatabase((limitUrl) =>
      Limit.withLimit(limitUrl, (limit) =>
        inRounds(
          () => limit.concurrent(),
          () => server.withDatabase((url) => roundOf(url, n)),
        ),
      ),
    ),
};

/** Every round has a database of its own: what was drained before is no matter of this one. */
async function roundOf(url: string, n: number): Promise<Round> {
  const oneByOne = Math.round(n * SHARE_ONE_BY_ONE);
  const into = await withProviders(url, { providers: [QueueFlows], worker: false }, async (app) => {
    const flows = app.get(Flows);
    const calls = Array.from({ length: n }, (_, index) => [index] as const);
    const inPerS = await perSecond(n - oneByOne, () => flows.enqueueAll(QueueFlows, 'queued', calls.slice(oneByOne)));
    const inOneByOnePerS = await perSecond(oneByOne, () => enqueueOneByOne(flows, oneByOne));
    return { in_per_s: inPerS, in_one_by_one_per_s: inOneByOnePerS };
  });
  const outPerS = await askChild<{ ms: number }, number>('queue-process.js', { url, n }, ({ ms }) =>
    Promise.resolve((n / ms) * 1_000),
  );
  await withClient(url, (client) => verify(client, n));
  return { perS: outPerS, more: { ...into, out_per_s: outPerS } };
}

async function enqueueOneByOne(flows: Flows, count: number): Promise<void> {
  let begun = 0;
  const caller = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      await flows.enqueue(QueueFlows, 'queued', begun);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

/** @throws when a run has not the whole of its record: a figure for work that was not done is none. */
async function verify(client: Client, n: number): Promise<void> {
  const { rows } = await client.query<{ runs: number; complete: number }>(
    `select (select count(*)::int from nestor.flow_run where state_type = 'COMPLETED' and run_count = 1) as runs,
            (select count(*)::int
               from (select from nestor.flow_run_state group by flow_run_id
                     having array_agg(type order by timestamp) = '{SCHEDULED,PENDING,RUNNING,COMPLETED}'::text[]) as h) as complete`,
  );
  const [found] = rows;
  if (found?.runs !== n || found.complete !== n) {
    throw new Error(
      `${found?.runs} runs have completed and ${found?.complete} histories are whole; there should be ${n}.`,
    );
  }
}
