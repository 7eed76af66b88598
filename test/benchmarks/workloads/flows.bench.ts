import { withScene } from '../app.js';
import type { BenchFlows } from '../bench-flows.js';
import { perSecond } from '../limit.js';
import { inRounds } from '../rounds.js';
import type { Workload } from '../workload.js';

const AT_ONCE = 100;
const TASKS_EACH = 3;

export const flows: Workload = {
  name: 'flows',
  about: `n flow runs of ${TASKS_EACH} tasks one after the other, ${AT_ONCE} runs at a time`,
  defaultN: 3_000,
  measure: (server, { n }) =>
    withScene(server, ({ flows, limit }) =>
      inRounds(
        () => limit.concurrent(),
        async () => ({ perS: await perSecond(n, () => runMany(flows, n)) }),
      ),
    ),
};

/** Whenever a run ends the next one starts. */
async function runMany(flows: BenchFlows, count: number): Promise<void> {
  let begun = 0;
  const lane = async () => {
    while (begun < count) {
      begun += 1;
      await flows.oneByOne(TASKS_EACH);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}
