import { withScene, type Scene } from '../app.js';
import { perSecond } from '../limit.js';
import { inRounds } from '../rounds.js';
import { withClient } from '../server.js';
import { storeRuns } from '../stored-runs.js';
import type { Workload } from '../workload.js';

/**
 * The same work in an empty database and in one full of history, by turns: writing must not slow down as history grows.
 * Both databases are on the same server, which has only so much memory for either.
 */
export const history: Workload = {
  name: 'history',
  about: 'one flow, n tasks at once, where millions of task runs are stored already',
  defaultN: 50_000,
  measure: (server, { n, stored }) =>
    withScene(server, (empty) =>
      withScene(
        server,
        async (full) => {
          await storeRuns(full.url, { flowName: 'BenchFlows.allAtOnce', count: stored });
          const figures = await inRounds(
            () => empty.limit.concurrent(),
            async () => {
              const emptyPerS = await fanOut(empty, n);
              const perS = await fanOut(full, n);
              await forgetTaskRuns(empty);
              return { perS, more: { empty_per_s: emptyPerS } };
            },
          );
          const emptyPerS = figures.more.empty_per_s ?? NaN;
          return { ...figures, ratio: figures.perS / emptyPerS, more: { ...figures.more, stored } };
        },
        'full',
      ),
    ),
};

function fanOut({ flows }: Scene, n: number): Promise<number> {
  return perSecond(n, () => flows.allAtOnce(n));
}

/** The empty database stays empty, whatever the rounds before have written. */
function forgetTaskRuns({ url }: Scene): Promise<unknown> {
  return withClient(url, (client) => client.query('truncate nestor.task_run, nestor.task_run_state'));
}
