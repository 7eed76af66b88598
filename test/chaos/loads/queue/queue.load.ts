import { WorkPools } from '@nestor/orchestrator';
import { observePools, observeRuns } from '../../observer/observer.js';
import type { Load } from '../kinds.js';
import { withApplication } from '../prepare.js';
import { createOrders } from './orders.js';
import { POOL, POOL_LIMIT, QUEUES } from './places.js';

export const queueLoad: Load = {
  about: 'runs that many producers enqueue, drained from a work pool and by the application: none lost, none twice',
  nodes: 4,
  secondsPerKill: 3,
  prepare: async (server) => {
    await withApplication(server.url, async (app) => {
      const pools = app.get(WorkPools);
      await pools.create(POOL, { concurrencyLimit: POOL_LIMIT });
      for (const { name, limit } of QUEUES) await pools.createQueue(POOL, name, { concurrencyLimit: limit });
    });
    await createOrders(server);
    await observeRuns(server);
    await observePools(server);
  },
  settings: () => ({ name: 'queue' }),
};
