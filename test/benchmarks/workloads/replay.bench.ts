import { FlowRuns } from '@nestor/orchestrator';
import { withApp } from '../app.js';
import { askChild } from '../child.js';
import { Limit } from '../limit.js';
import { inRounds } from '../rounds.js';
import type { Workload } from '../workload.js';

/** Longer than a lease: a process that was killed is not missed at once. */
const RESUMED_WITHIN = '1m';

/**
 * A process is killed when all tasks of its run are recorded; the next application takes the run over, and its flow gets
 * every outcome from the records. Timed from the start of the resumed body until it has all of them; what lies before,
 * finding out that the process is gone, is another figure (`resumed_ms`).
 *
 * Not in `index.ts` until runs of dead processes are resumed: today it would wait in vain.
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
              await app.get(FlowRuns).result(flowRunId, { timeout: RESUMED_WITHIN });
              return {
                perS: (n * 1_000) / (flows.doneAt - flows.startedAt),
                more: { resumed_ms: flows.startedAt - killedAt },
              };
            });
          },
        ),
      ),
    ),
};
