import { withScene } from '../app.js';
import { perSecond } from '../limit.js';
import { inRounds } from '../rounds.js';
import { verifyRecords } from '../verify-records.js';
import type { Workload } from '../workload.js';

export const fanout: Workload = {
  name: 'fanout',
  about: 'one flow, n tasks at once',
  defaultN: 50_000,
  measure: (server, { n }) =>
    withScene(server, ({ flows, url, limit }) =>
      inRounds(
        () => limit.concurrent(),
        async () => {
          let flowRunId: string | null = null;
          const perS = await perSecond(n, async () => {
            flowRunId = await flows.allAtOnce(n);
          });
          await verifyRecords(url, { flowRunId, n });
          return { perS };
        },
      ),
    ),
};
