import { observeRuns } from '../../observer/observer.js';
import type { Load } from '../kinds.js';
import { withApplication } from '../prepare.js';

/** Until the processes are up, which is when time begins to count. */
const START_UP_MS = 8_000;

export const schedulesLoad: Load = {
  about: 'schedules that fire every second: each second of each has exactly one run, which completes',
  nodes: 5,
  secondsPerKill: 3,
  prepare: async (server) => {
    await withApplication(server.url);
    await observeRuns(server);
  },
  settings: ({ schedules, seconds, blackout }) => {
    const endsAt = Math.ceil((Date.now() + START_UP_MS) / 1_000) * 1_000 + (seconds + blackout) * 1_000;
    return { name: 'schedules', schedules, endsAt };
  },
};
