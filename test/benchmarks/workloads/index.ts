import type { Workload } from '../workload.js';
import { chain } from './chain.bench.js';
import { dispatch } from './dispatch.bench.js';
import { fair } from './fair.bench.js';
import { fanout } from './fanout.bench.js';
import { flows } from './flows.bench.js';
import { history } from './history.bench.js';
import { latency } from './latency.bench.js';
import { memory } from './memory.bench.js';
import { queue } from './queue.bench.js';
import { schedules } from './schedules.bench.js';
import { replay } from './replay.bench.js';

/** In the order in which they run. */
export const workloads: readonly Workload[] = [
  fanout,
  chain,
  flows,
  latency,
  queue,
  dispatch,
  fair,
  schedules,
  replay,
  history,
  memory,
];
