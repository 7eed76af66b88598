import type { Workload } from '../workload.js';
import { chain } from './chain.bench.js';
import { fanout } from './fanout.bench.js';
import { flows } from './flows.bench.js';
import { latency } from './latency.bench.js';

/** In the order in which they run. `replay` joins when runs are resumed. */
export const workloads: readonly Workload[] = [fanout, chain, flows, latency];
