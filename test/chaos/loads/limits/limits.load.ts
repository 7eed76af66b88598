import { ConcurrencyLimits } from '@nestor/orchestrator';
import { observeSlots } from '../../observer/observer.js';
import type { Load } from '../kinds.js';
import { withApplication } from '../prepare.js';
import { LIMITS } from './limits-in-use.js';

/** In all processes together. */
const ACQUIRERS = 32;

export const limitsLoad: Load = {
  about: `${ACQUIRERS} that ask for the slots of a limit of 5: never 6 in use at any commit, none in the end`,
  nodes: 8,
  secondsPerKill: 1,
  prepare: async (server) => {
    await withApplication(server.url, async (app) => {
      for (const [name, limit] of Object.entries(LIMITS)) await app.get(ConcurrencyLimits).create(name, { limit });
    });
    await observeSlots(server);
  },
  settings: ({ nodes }) => ({ name: 'limits', acquirers: Math.ceil(ACQUIRERS / nodes) }),
};
