import { setTimeout as sleep } from 'node:timers/promises';
import { withScene } from '../app.js';
import type { BenchFlows } from '../bench-flows.js';
import { inRounds } from '../rounds.js';
import { percentile } from '../statistics.js';
import type { Workload } from '../workload.js';

/** Longer than a state that nobody waits for stays in memory: the system is idle when the next call comes. */
const PAUSE_MS = 15;

export const latency: Workload = {
  name: 'latency',
  about: 'n calls of a flow on an idle system, from the call to the start of its body',
  defaultN: 200,
  measure: (server, { n }) =>
    withScene(server, ({ flows, limit }) =>
      inRounds(
        () => limit.sequential(),
        async () => {
          const delays = await delaysOf(flows, n);
          const meanMs = delays.reduce((sum, ms) => sum + ms, 0) / n;
          const more = { p50_ms: percentile(delays, 50), p99_ms: percentile(delays, 99) };
          return { perS: 1_000 / meanMs, more };
        },
      ),
    ),
};

async function delaysOf(flows: BenchFlows, count: number): Promise<number[]> {
  const delays: number[] = [];
  while (delays.length < count) {
    await sleep(PAUSE_MS);
    const calledAt = performance.now();
    await flows.started();
    delays.push(flows.startedAt - calledAt);
  }
  return delays;
}
