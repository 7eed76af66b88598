import { HandedOverRuns } from './handed-over-runs.service.js';
import { InfrastructureEnds } from './infrastructure-ends.service.js';
import { InfrastructureNotes } from './infrastructure-notes.service.js';
import { InfrastructureRuns } from './infrastructure-runs.service.js';
import { NestProcessWorker } from './isolation/nest-process.worker.js';
import { NestThreadWorker } from './isolation/nest-thread.worker.js';
import { Lanes } from './lanes.service.js';
import { HttpPushWorker } from './push/http-push.worker.js';
import { PoolWorkers } from './pool-workers.service.js';
import { ServedPools } from './served-pools.service.js';
import { TearDownDelivery } from './tear-down-delivery.service.js';
import { TearDowns } from './tear-downs.service.js';
import { WorkerTypes } from './worker-types.service.js';

/** Where this process takes runs from. */
export const workersProviders = [
  Lanes,
  PoolWorkers,
  WorkerTypes,
  NestProcessWorker,
  NestThreadWorker,
  HttpPushWorker,
  InfrastructureNotes,
  InfrastructureEnds,
  InfrastructureRuns,
  ServedPools,
  TearDownDelivery,
  TearDowns,
  HandedOverRuns,
];
