import { ArtifactsRepository } from './artifacts/artifacts.repository.js';
import { BlocksRepository } from './blocks/blocks.repository.js';
import { ConcurrencyClaimsRepository } from './concurrency-limits/concurrency-claims.repository.js';
import { ConcurrencyLimitsRepository } from './concurrency-limits/concurrency-limits.repository.js';
import { RunSlotsRepository } from './concurrency-limits/run-slots.repository.js';
import { DeploymentSchedulesRepository } from './deployments/deployment-schedules.repository.js';
import { DeploymentStatusesRepository } from './deployments/deployment-statuses.repository.js';
import { DeploymentsRepository } from './deployments/deployments.repository.js';
import { ScheduleFillingRepository } from './deployments/schedule-filling.repository.js';
import { ScheduleTurnsRepository } from './deployments/schedule-turns.repository.js';
import { EventsRepository } from './events/events.repository.js';
import { FairLinesRepository } from './fair-lines/fair-lines.repository.js';
import { BatchedItemsRepository } from './flow-run-inputs/batched-items.repository.js';
import { FlowRunInputsRepository } from './flow-run-inputs/flow-run-inputs.repository.js';
import { FlowRunClaimsRepository } from './flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository } from './flow-runs/flow-runs.repository.js';
import { RunSituationsRepository } from './flow-runs/run-situations.repository.js';
import { RunsInFlightRepository } from './flow-runs/runs-in-flight.repository.js';
import { SharedRunsRepository } from './flow-runs/shared-runs.repository.js';
import { WaitingFlowRunsRepository } from './flow-runs/waiting-flow-runs.repository.js';
import { FlowsRepository } from './flows/flows.repository.js';
import { InfrastructureRepository } from './infrastructure/infrastructure.repository.js';
import { LooksRepository } from './looks/looks.repository.js';
import { LogsRepository } from './logs/logs.repository.js';
import { OwedHooksRepository } from './owed-hooks/owed-hooks.repository.js';
import { PayloadsRepository } from './payloads/payloads.repository.js';
import { ProcessesRepository } from './processes/processes.repository.js';
import { ExpiredArtifactsRepository } from './retention/expired-artifacts.repository.js';
import { ExpiredEventsRepository } from './retention/expired-events.repository.js';
import { ExpiredFlowRunsRepository } from './retention/expired-flow-runs.repository.js';
import { ExpiredLogsRepository } from './retention/expired-logs.repository.js';
import { ExpiredTaskRunsRepository } from './retention/expired-task-runs.repository.js';
import { PartitionsRepository } from './retention/partitions.repository.js';
import { RetentionPassesRepository } from './retention/retention-passes.repository.js';
import { UnwantedFlowRunsRepository } from './retention/unwanted-flow-runs.repository.js';
import { RunValuesRepository } from './run-values/run-values.repository.js';
import { TaskCacheRepository } from './task-cache/task-cache.repository.js';
import { TaskQueueRepository } from './task-queue/task-queue.repository.js';
import { TaskRunsRepository } from './task-runs/task-runs.repository.js';
import { VariablesRepository } from './variables/variables.repository.js';
import { WorkPoolsRepository } from './work-pools/work-pools.repository.js';
import { WorkQueuesRepository } from './work-pools/work-queues.repository.js';
import { WorkersRepository } from './work-pools/workers.repository.js';

/** Every repository of our data source. */
export const repositories = [
  ArtifactsRepository,
  BlocksRepository,
  ConcurrencyClaimsRepository,
  ConcurrencyLimitsRepository,
  RunSlotsRepository,
  FairLinesRepository,
  DeploymentSchedulesRepository,
  DeploymentStatusesRepository,
  DeploymentsRepository,
  ScheduleFillingRepository,
  ScheduleTurnsRepository,
  EventsRepository,
  BatchedItemsRepository,
  FlowRunInputsRepository,
  FlowRunClaimsRepository,
  FlowRunsRepository,
  RunSituationsRepository,
  RunsInFlightRepository,
  SharedRunsRepository,
  WaitingFlowRunsRepository,
  FlowsRepository,
  InfrastructureRepository,
  LooksRepository,
  LogsRepository,
  OwedHooksRepository,
  PayloadsRepository,
  ProcessesRepository,
  ExpiredArtifactsRepository,
  ExpiredEventsRepository,
  ExpiredFlowRunsRepository,
  UnwantedFlowRunsRepository,
  ExpiredLogsRepository,
  ExpiredTaskRunsRepository,
  PartitionsRepository,
  RetentionPassesRepository,
  RunValuesRepository,
  TaskCacheRepository,
  TaskQueueRepository,
  TaskRunsRepository,
  VariablesRepository,
  WorkPoolsRepository,
  WorkQueuesRepository,
  WorkersRepository,
];
