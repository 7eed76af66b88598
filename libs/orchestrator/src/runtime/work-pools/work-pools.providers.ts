import { PoolStatuses } from './pool-statuses.service.js';
import { QueueIds } from './queue-ids.service.js';
import { WorkPools } from './work-pools.service.js';

/** Pools, queues, and whether they are served. */
export const workPoolsProviders = [PoolStatuses, WorkPools, QueueIds];
