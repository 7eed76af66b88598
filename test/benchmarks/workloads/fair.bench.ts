import { setTimeout as sleep } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { Flows } from '@nestor/orchestrator';
import { withProviders } from '../app.js';
import { askChild } from '../child.js';
import { FairFlows } from '../fair-flows.js';
import { Limit, perSecond } from '../limit.js';
import { inRounds, type Round } from '../rounds.js';
import { withClient } from '../server.js';
import { percentile } from '../statistics.js';
import type { Workload } from '../workload.js';

const TENANTS = 100;
/** What the quiet tenants ask for together, evenly spread: a quarter of what the worker could do. */
const QUIET_PER_S = 300;
/** What the other one puts there at once: more than is done while the quiet ones are measured. */
const FLOOD = 20_000;
const LOOK_MS = 10;

export const fair: Workload = {
  name: 'fair',
  about: `n runs of ${TENANTS} tenants, ${QUIET_PER_S} a second, one worker process; then again while one of them has ${FLOOD} waiting`,
  defaultN: 1_500,
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

function roundOf(url: string, n: number): Promise<Round> {
  return withProviders(url, { providers: [FairFlows], worker: false }, (app) =>
    askChild('fair-process.js', { url, n }, async () => {
      await quietWaits(app, url, Math.ceil(n / 5), 'first'); // until statements are planned and code is warm
      const alone = await quietWaits(app, url, n, 'alone');
      const flood = Array.from({ length: FLOOD }, () => ['flood'] as const);
      const inPerS = await perSecond(FLOOD, () =>
        app.get(Flows).with({ fairnessKey: 'tenant-0' }).enqueueAll(FairFlows, 'shared', flood),
      );
      const before = await ended(url);
      const startedAt = performance.now();
      const beside = await quietWaits(app, url, n, 'beside');
      const after = await ended(url);
      if (after.flood >= FLOOD) throw new Error(`The flood was over before the ${n} runs beside it were.`);
      const perS = ((after.all - before.all) * 1_000) / (performance.now() - startedAt);
      return {
        perS,
        more: {
          quiet_p50_ms: percentile(alone, 50),
          quiet_p99_ms: percentile(alone, 99),
          beside_p50_ms: percentile(beside, 50),
          beside_p99_ms: percentile(beside, 99),
          quiet_p99_ratio: percentile(beside, 99) / percentile(alone, 99),
          flood_in_per_s: inPerS,
        },
      };
    }),
  );
}

/**
 * How long runs of the quiet tenants wait, from the moment in which they are asked for to the start of their
 * bodies, in milliseconds.
 */
async function quietWaits(app: INestApplicationContext, url: string, count: number, phase: string): Promise<number[]> {
  const flows = app.get(Flows);
  const queues = Array.from({ length: TENANTS - 1 }, (_, index) => flows.with({ fairnessKey: `tenant-${index + 1}` }));
  const startedAt = performance.now();
  const asked: Promise<unknown>[] = [];
  while (asked.length < count) {
    const dueMs = startedAt + (asked.length * 1_000) / QUIET_PER_S - performance.now();
    if (dueMs > 0) await sleep(dueMs);
    else asked.push(queues[asked.length % queues.length]!.enqueue(FairFlows, 'shared', phase));
  }
  await Promise.all(asked);
  return withClient(url, async (client) => {
    for (;;) {
      const { rows } = await client.query<{ ms: number | null }>(
        `select (extract(epoch from start_time - expected_start_time) * 1000)::float8 as ms
           from nestor.flow_run where parameters ->> '0' = $1`,
        [phase],
      );
      const waits = rows.flatMap(({ ms }) => ms ?? []);
      if (waits.length === count) return waits;
      await sleep(LOOK_MS);
    }
  });
}

async function ended(url: string): Promise<{ readonly all: number; readonly flood: number }> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ all: number; flood: number }>(
      `select count(*)::int as all, (count(*) filter (where parameters ->> '0' = 'flood'))::int as flood
         from nestor.flow_run where state_type = 'COMPLETED'`,
    );
    return rows[0] ?? { all: 0, flood: 0 };
  });
}
