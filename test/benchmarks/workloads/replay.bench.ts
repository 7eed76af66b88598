import { FlowRuns, msBetween, type Instant, type State } from '@nestor/orchestrator';
import { withApp } from '../app.js';
import { askChild } from '../child.js';
import { Limit } from '../limit.js';
import { inRounds } from '../rounds.js';
import type { Workload } from '../workload.js';

/** Longer than a lease: a process that was killed is not missed at once. */
const RESUMED_WITHIN = '1m';

/**
 * A process is killed when all tasks of its run are recorded; the next application takes the run over, and its flow gets
 * every outcome from the records. Timed by the states of the run, from the RUNNING in the new process to its end, which is
 * reading the records, running the body and handing out every outcome; what lies before, finding out that the process is
 * gone, is another figure (`resumed_ms`).
 */
export const replay: Workload = {
  name: 'replay',
  about: 'resuming a flow run with n recorded tasks',
  defaultN: 10_000,
  measure: (server, { n }) =>
    server.withDatabase((url) =>
      Limit.withLimit(url, (limit) =>
        inRounds(
          () => limit.concurrent(),
          async () => {
            const flowRunId = await askChild<string, string>('replay-process.js', { url, n }, (id) =>
              Promise.resolve(id),
            );
            const killedAt = performance.now();
            return withApp(url, async (flows, app) => {
              const runs = app.get(FlowRuns);
              await runs.result(flowRunId, { timeout: RESUMED_WITHIN });
              const { states } = await runs.get(flowRunId);
              return {
                perS: (n * 1_000) / msBetween(entered(states, 'Running'), entered(states, 'Completed')),
                more: { resumed_ms: flows.startedAt - killedAt },
              };
            });
          },
        ),
      ),
    ),
};

/** When the run entered its latest state of that name. */
function entered(states: readonly State[], name: string): Instant {
  const state = states.filter((one) => one.name === name).at(-1);
  if (!state) throw new Error(`The run was never ${name}.`);
  return state.timestamp;
}
