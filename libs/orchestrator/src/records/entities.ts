import { ArtifactCollectionEntity } from './artifacts/artifact-collection.entity.js';
import { ArtifactEntity } from './artifacts/artifact.entity.js';
import { BlockDocumentEntity } from './blocks/block-document.entity.js';
import { BlockSchemaEntity } from './blocks/block-schema.entity.js';
import { BlockTypeEntity } from './blocks/block-type.entity.js';
import { DeploymentScheduleEntity } from './deployments/deployment-schedule.entity.js';
import { DeploymentVersionEntity } from './deployments/deployment-version.entity.js';
import { DeploymentEntity } from './deployments/deployment.entity.js';
import { ConcurrencyClaimEntity } from './concurrency-limits/concurrency-claim.entity.js';
import { ConcurrencyLimitEntity } from './concurrency-limits/concurrency-limit.entity.js';
import { ConcurrencySlotEntity } from './concurrency-limits/concurrency-slot.entity.js';
import { ConcurrencyWaiterEntity } from './concurrency-limits/concurrency-waiter.entity.js';
import { EventReceiptEntity } from './events/event-receipt.entity.js';
import { EventEntity } from './events/event.entity.js';
import { FairAppEntity } from './fair-lines/fair-app.entity.js';
import { FairLineEntity } from './fair-lines/fair-line.entity.js';
import { FairNewsEntity } from './fair-lines/fair-news.entity.js';
import { FlowEntity } from './flows/flow.entity.js';
import { FlowRunInputEntity } from './flow-run-inputs/flow-run-input.entity.js';
import { FlowRunStateEntity } from './flow-runs/flow-run-state.entity.js';
import { FlowRunEntity } from './flow-runs/flow-run.entity.js';
import { RunKeyEntity } from './flow-runs/run-key.entity.js';
import { InfrastructureEntity } from './infrastructure/infrastructure.entity.js';
import { LogEntity } from './logs/log.entity.js';
import { OwedHooksEntity } from './owed-hooks/owed-hooks.entity.js';
import { ProcessEntity } from './processes/process.entity.js';
import { RunValueEntity } from './run-values/run-value.entity.js';
import { PayloadEntity } from './payloads/payload.entity.js';
import { ScheduleWatchEntity } from './deployments/schedule-watch.entity.js';
import { RetentionPassEntity } from './retention/retention-pass.entity.js';
import { TaskCacheEntity } from './task-cache/task-cache.entity.js';
import { QueuedTaskEntity } from './task-queue/queued-task.entity.js';
import { TaskRunStateEntity } from './task-runs/task-run-state.entity.js';
import { TaskRunEntity } from './task-runs/task-run.entity.js';
import { VariableEntity } from './variables/variable.entity.js';
import { WorkPoolEntity } from './work-pools/work-pool.entity.js';
import { WorkQueueEntity } from './work-pools/work-queue.entity.js';
import { WorkerEntity } from './work-pools/worker.entity.js';

/** Every entity of our data source. */
export const entities = [
  FlowEntity,
  FlowRunEntity,
  FlowRunStateEntity,
  RunKeyEntity,
  TaskRunEntity,
  TaskRunStateEntity,
  LogEntity,
  EventEntity,
  EventReceiptEntity,
  ProcessEntity,
  RunValueEntity,
  PayloadEntity,
  FlowRunInputEntity,
  TaskCacheEntity,
  ArtifactEntity,
  ArtifactCollectionEntity,
  VariableEntity,
  BlockTypeEntity,
  BlockSchemaEntity,
  BlockDocumentEntity,
  OwedHooksEntity,
  QueuedTaskEntity,
  DeploymentEntity,
  DeploymentScheduleEntity,
  DeploymentVersionEntity,
  ScheduleWatchEntity,
  WorkPoolEntity,
  WorkQueueEntity,
  WorkerEntity,
  InfrastructureEntity,
  ConcurrencyLimitEntity,
  ConcurrencyClaimEntity,
  ConcurrencySlotEntity,
  ConcurrencyWaiterEntity,
  FairAppEntity,
  FairLineEntity,
  FairNewsEntity,
  RetentionPassEntity,
] as const;
