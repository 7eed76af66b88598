import { withScene } from '../app.js';
import { perSecond } from '../limit.js';
import { inRounds } from '../rounds.js';
import type { Workload } from '../workload.js';

export const chain: Workload = {
  name: 'chain',
  about: 'one flow, n tasks one after the other',
  defaultN: 2_000,
  measure: (server, { n }) =>
    withScene(server, ({ flows, limit }) =>
      inRounds(
        () => limit.sequential(),
        async () => ({ perS: await perSecond(n, () => flows.oneByOne(n)) }),
      ),
    ),
};
