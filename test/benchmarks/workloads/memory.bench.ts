import { askChild } from '../child.js';
import { Limit } from '../limit.js';
import { inRounds, type Round } from '../rounds.js';
import type { Workload } from '../workload.js';

/** Every round has a process of its own: a process that has run such a flow before keeps memory from it. */
export const memory: Workload = {
  name: 'memory',
  about: 'peak memory of a process that runs one flow, n tasks at once',
  defaultN: 100_000,
  measure: (server, { n }) =>
    server.withDatabase((url) =>
      Limit.withLimit(url, (limit) =>
        inRounds(
          () => limit.concurrent(),
          () =>
            askChild<{ perS: number; rssMb: number }, Round>('memory-process.js', { url, n }, ({ perS, rssMb }) =>
              Promise.resolve({ perS, more: { rss_mb: rssMb } }),
            ),
        ),
      ),
    ),
};
