import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { Flows } from '@nestor/orchestrator';
import { withProviders } from '../app.js';
import { askChild } from '../child.js';
import { Limit } from '../limit.js';
import { QueueFlows } from '../queue-flows.js';
import { inRounds } from '../rounds.js';
import { percentile } from '../statistics.js';
import type { Workload } from '../workload.js';

/** Longer than a state that nobody waits for stays in memory: the system is idle when the next run comes. */
const PAUSE_MS = 15;

/** Without pauses, before anything counts: one round of a few hundred runs leaves most of the code interpreted. */
const WARM_UP_RUNS = 3_000;

export const dispatch: Workload = {
  name: 'dispatch',
  about:
    'n runs, one at a time: from enqueueing in one process to the start of the body in another, both warm and idle',
  defaultN: 200,
  measure: (server, { n }) =>
    server.withDatabase((url) =>
      Limit.withLimit(url, (limit) =>
        withProviders(url, { providers: [QueueFlows], worker: false }, (app) =>
          askChild('dispatch-process.js', { url, n }, async (_, worker) => {
            await delaysOf(app, worker, WARM_UP_RUNS, 0);
            return inRounds(
              () => limit.sequential(),
              async () => {
                const delays = await delaysOf(app, worker, n, PAUSE_MS);
                const meanMs = delays.reduce((sum, ms) => sum + ms, 0) / n;
                const more = { p50_ms: percentile(delays, 50), p99_ms: percentile(delays, 99) };
                return { perS: 1_000 / meanMs, more };
              },
            );
          }),
        ),
      ),
    ),
};

async function delaysOf(
  app: INestApplicationContext,
  worker: ChildProcess,
  count: number,
  pauseMs: number,
): Promise<number[]> {
  const flows = app.get(Flows);
  const delays: number[] = [];
  while (delays.length < count) {
    await sleep(pauseMs);
    const begun = once(worker, 'message') as Promise<[{ begunAt: number }]>;
    const enqueuedAt = performance.timeOrigin + performance.now();
    await flows.enqueue(QueueFlows, 'queued', delays.length);
    const [{ begunAt }] = await begun;
    delays.push(begunAt - enqueuedAt);
  }
  return delays;
}
