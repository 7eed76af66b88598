import { Logger, Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule, ModulesContainer } from '@nestjs/core';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { migrations } from '../../../migrations/index.js';
import { FlowExplorer } from './authoring/flow.explorer.js';
import { FlowRegistrar } from './authoring/flow.registrar.js';
import {
  ASYNC_OPTIONS_TYPE,
  OPTIONS_TYPE,
  OptionsModuleClass,
  ORCHESTRATOR_OPTIONS,
} from './orchestrator.module-definition.js';
import { resolveOptions, secretKeySettings, type OrchestratorOptions } from './orchestrator.options.js';
import { openDataSource, type DataSourceSettings } from './persistence/open-data-source.js';
import { ORCHESTRATOR_DATA_SOURCE } from './persistence/tokens.js';
import { Transactions } from './persistence/transactions.js';
import { entities } from './records/entities.js';
import { ArtifactsRepository } from './records/artifacts/artifacts.repository.js';
import { BlocksRepository } from './records/blocks/blocks.repository.js';
import { DeploymentSchedulesRepository } from './records/deployments/deployment-schedules.repository.js';
import { DeploymentsRepository } from './records/deployments/deployments.repository.js';
import { ConcurrencyClaimsRepository } from './records/concurrency-limits/concurrency-claims.repository.js';
import { ConcurrencyLimitsRepository } from './records/concurrency-limits/concurrency-limits.repository.js';
import { DeploymentStatusesRepository } from './records/deployments/deployment-statuses.repository.js';
import { RunSlotsRepository } from './records/concurrency-limits/run-slots.repository.js';
import { ScheduleFillingRepository } from './records/deployments/schedule-filling.repository.js';
import { ScheduleTurnsRepository } from './records/deployments/schedule-turns.repository.js';
import { EventsRepository } from './records/events/events.repository.js';
import { FlowRunInputsRepository } from './records/flow-run-inputs/flow-run-inputs.repository.js';
import { FlowRunClaimsRepository } from './records/flow-runs/flow-run-claims.repository.js';
import { RunsInFlightRepository } from './records/flow-runs/runs-in-flight.repository.js';
import { RunSituationsRepository } from './records/flow-runs/run-situations.repository.js';
import { FlowRunsRepository } from './records/flow-runs/flow-runs.repository.js';
import { SharedRunsRepository } from './records/flow-runs/shared-runs.repository.js';
import { WaitingFlowRunsRepository } from './records/flow-runs/waiting-flow-runs.repository.js';
import { FlowsRepository } from './records/flows/flows.repository.js';
import { LogsRepository } from './records/logs/logs.repository.js';
import { OwedHooksRepository } from './records/owed-hooks/owed-hooks.repository.js';
import { WorkPoolsRepository } from './records/work-pools/work-pools.repository.js';
import { WorkQueuesRepository } from './records/work-pools/work-queues.repository.js';
import { WorkersRepository } from './records/work-pools/workers.repository.js';
import { PayloadsRepository } from './records/payloads/payloads.repository.js';
import { TaskCacheRepository } from './records/task-cache/task-cache.repository.js';
import { TaskQueueRepository } from './records/task-queue/task-queue.repository.js';
import { TaskRunsRepository } from './records/task-runs/task-runs.repository.js';
import { TaskCache } from './runtime/caching/task-cache.service.js';
import { VariablesRepository } from './records/variables/variables.repository.js';
import { Artifacts } from './runtime/artifacts/artifacts.service.js';
import { Blocks } from './runtime/blocks/blocks.service.js';
import { ConcurrencyLeases } from './runtime/concurrency/concurrency-leases.service.js';
import { ConcurrencyLimits } from './runtime/concurrency/concurrency-limits.service.js';
import { HandOver } from './runtime/concurrency/hand-over.service.js';
import { LimitedTags } from './runtime/concurrency/limited-tags.service.js';
import { RunSlots } from './runtime/concurrency/run-slots.service.js';
import { SlotBlocks } from './runtime/concurrency/slot-blocks.service.js';
import { SlotEvents } from './runtime/concurrency/slot-events.service.js';
import { SlotKeeper } from './runtime/concurrency/slot-keeper.service.js';
import { SlotLine } from './runtime/concurrency/slot-line.service.js';
import { Slots } from './runtime/concurrency/slots.service.js';
import { ENGINE_SETTINGS, type EngineSettings } from './runtime/engine-settings.js';
import { FlowAttempts } from './runtime/engine/flows/flow-attempts.service.js';
import { FlowBodies } from './runtime/engine/flows/flow-bodies.service.js';
import { FlowEngine } from './runtime/engine/flows/flow-engine.js';
import { FlowRunCreation } from './runtime/engine/flows/flow-run-creation.service.js';
import { FlowRunEndings } from './runtime/engine/flows/flow-run-endings.service.js';
import { Publications } from './runtime/engine/publications.service.js';
import { EngineScopeServices } from './runtime/engine/scope-services.js';
import { ActiveFlowRuns } from './runtime/engine/active-flow-runs.js';
import { HookCaller } from './runtime/hooks/hook-caller.service.js';
import { HookDelivery } from './runtime/hooks/hook-delivery.service.js';
import { Hooks } from './runtime/hooks/hooks.service.js';
import { SettledHooks } from './runtime/hooks/settled-hooks.service.js';
import { BackgroundTaskOutcomes } from './runtime/background/background-task-outcomes.js';
import { BackgroundTasks } from './runtime/background/background-tasks.service.js';
import { BACKGROUND_SETTINGS } from './runtime/background/background-settings.js';
import { DeadLetters } from './runtime/background/dead-letters.service.js';
import { BorrowedTransactions } from './runtime/borrowed-transactions/borrowed-transactions.service.js';
import { OrphanedTasks } from './runtime/background/orphaned-tasks.service.js';
import { TaskClaimer } from './runtime/background/task-claimer.service.js';
import { TaskQueue } from './runtime/background/task-queue.service.js';
import { TasksInFlight } from './runtime/background/tasks-in-flight.js';
import { ProcessAbilities } from './runtime/leases/process-abilities.js';
import { ProcessLease } from './runtime/leases/process-lease.service.js';
import { Backfills } from './runtime/deployments/backfills.service.js';
import { DeclaredDeployments } from './runtime/deployments/declared-deployments.service.js';
import { DeployedRuns } from './runtime/deployments/deployed-runs.service.js';
import { DeploymentEvents } from './runtime/deployments/deployment-events.js';
import { DeploymentForms } from './runtime/deployments/deployment-forms.service.js';
import { DeploymentRunner } from './runtime/deployments/deployment-runner.service.js';
import { DeploymentWriter } from './runtime/deployments/deployment-writer.service.js';
import { Deployments } from './runtime/deployments/deployments.service.js';
import { LateRuns } from './runtime/scheduler/late-runs.service.js';
import { MissedRuns } from './runtime/scheduler/missed-runs.service.js';
import { ScheduleFiller } from './runtime/scheduler/schedule-filler.service.js';
import { ScheduleNews } from './runtime/scheduler/schedule-news.service.js';
import { Scheduler } from './runtime/scheduler/scheduler.service.js';
import { TurnGiver } from './runtime/scheduler/turn-giver.service.js';
import { Inbox } from './runtime/inputs/inbox.service.js';
import { InputArrivals } from './runtime/inputs/input-arrivals.service.js';
import { PauseAnswers } from './runtime/inputs/pause-answers.service.js';
import { RunInputs } from './runtime/inputs/run-inputs.service.js';
import { RunPauses } from './runtime/inputs/run-pauses.service.js';
import { Notifier } from './runtime/notifications/notifier.service.js';
import { RunClaimer } from './runtime/recovery/run-claimer.service.js';
import { RunControl } from './runtime/control/run-control.service.js';
import { RunObserver } from './runtime/control/run-observer.service.js';
import { StoredRuns } from './runtime/transitions/stored-runs.service.js';
import { FlowEnqueuer } from './runtime/scheduling/flow-enqueuer.service.js';
import { Batches } from './runtime/scheduling/batches.service.js';
import { SharedRuns } from './runtime/scheduling/shared-runs.service.js';
import { ScheduledRuns } from './runtime/scheduling/scheduled-runs.service.js';
import { WaitingRuns } from './runtime/recovery/waiting-runs.service.js';
import { isPassive } from './runtime/passive-start.js';
import { AttemptInspector } from './runtime/rehearsal/attempt-inspector.js';
import { Rehearsals } from './runtime/rehearsal/rehearsals.service.js';
import { DeployChecks } from './runtime/rehearsal/deploy-checks.service.js';
import { RunRecordings } from './runtime/rehearsal/run-recordings.service.js';
import { RunDiagnoses } from './runtime/diagnosis/run-diagnoses.service.js';
import { Sweeper } from './runtime/recovery/sweeper.service.js';
import { Replays } from './runtime/replay/replays.service.js';
import { Shutdown } from './runtime/shutdown.service.js';
import { ProcessesRepository } from './records/processes/processes.repository.js';
import { RunValuesRepository } from './records/run-values/run-values.repository.js';
import { OrchestratorEngine } from './runtime/engine/orchestrator-engine.js';
import { RunLogs } from './runtime/engine/run-logs.js';
import { RunWaits } from './runtime/engine/run-waits.service.js';
import { RecordedOutcomes } from './runtime/engine/tasks/recorded-outcomes.service.js';
import { RememberedOutcomes } from './runtime/engine/tasks/remembered-outcomes.service.js';
import { TaskAttempts } from './runtime/engine/tasks/task-attempts.service.js';
import { TaskSlots } from './runtime/engine/tasks/task-slots.service.js';
import { TaskBodies } from './runtime/engine/tasks/task-bodies.service.js';
import { TaskEngine } from './runtime/engine/tasks/task-engine.js';
import { TaskRunStates } from './runtime/engine/tasks/task-run-states.service.js';
import { TaskTransactions } from './runtime/engine/tasks/task-transactions.service.js';
import { Events } from './runtime/events/events.service.js';
import { FlowRuns } from './runtime/flow-runs.service.js';
import { Flows } from './runtime/flows.service.js';
import { Foreman } from './runtime/maintenance/foreman.service.js';
import { Housekeeping } from './runtime/maintenance/housekeeping.service.js';
import { RunHeartbeats } from './runtime/maintenance/run-heartbeats.js';
import { PAYLOAD_SETTINGS, payloadSettings } from './runtime/payloads/payload-options.js';
import { PayloadTable } from './runtime/payloads/payload-table.js';
import { Payloads } from './runtime/payloads/payloads.service.js';
import { Results } from './runtime/results.service.js';
import { Enhancers } from './runtime/nest/enhancers.service.js';
import { RunContexts } from './runtime/nest/run-contexts.service.js';
import { Readiness } from './runtime/readiness.service.js';
import { FlowRegistry } from './runtime/registry/flow-registry.js';
import { OrchestratorImportedTwiceError } from './runtime/registry/registry-errors.js';
import { SECRET_KEY_SETTINGS, SecretKeys } from './runtime/secrets/secret-keys.service.js';
import { HostDataSources } from './runtime/transactional/host-data-sources.service.js';
import { TransactionalAttempts } from './runtime/transactional/transactional-attempts.service.js';
import { DatabaseClock } from './runtime/transitions/database-clock.js';
import { Journal } from './runtime/transitions/journal.js';
import { TransitionService } from './runtime/transitions/transition.service.js';
import { Variables } from './runtime/variables/variables.service.js';
import { PoolStatuses } from './runtime/work-pools/pool-statuses.service.js';
import { HandedOverRuns } from './runtime/workers/handed-over-runs.service.js';
import { NestProcessWorker } from './runtime/workers/isolation/nest-process.worker.js';
import { NestThreadWorker } from './runtime/workers/isolation/nest-thread.worker.js';
import { InfrastructureRuns } from './runtime/workers/infrastructure-runs.service.js';
import { WorkerTypes } from './runtime/workers/worker-types.service.js';
import { PoolWorkers } from './runtime/workers/pool-workers.service.js';
import { WORKER_SETTINGS } from './runtime/workers/worker-settings.js';
import { QueueIds } from './runtime/work-pools/queue-ids.service.js';
import { WorkPools } from './runtime/work-pools/work-pools.service.js';

@Module({})
class OrchestratorOptionsModule extends OptionsModuleClass {}

const DEFAULT_NAME = 'nestor';

/**
 * Orchestration inside a Nest application: import it once, decorate methods of your providers, and their calls are
 * tracked, durable runs. What it exports can be injected everywhere without a further import.
 *
 * It opens a data source of its own, in a schema of its own, and migrates it when it starts; your entities and ours do
 * not meet. `app.close()` lets runs drain and leaves nothing open.
 *
 * @example
 * ```ts
 * @Module({ imports: [OrchestratorModule.forRoot()], providers: [NightlyImport] })
 * export class AppModule {}
 * ```
 */
@Module({})
export class OrchestratorModule {
  /**
   * With options that are known when the module is written.
   *
   * Starting fails with a clear error when the database cannot be used: see the codes `DATABASE_…`, `SCHEMA_…` and
   * `EMBEDDED_POSTGRES_…`.
   */
  static forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return moduleOf(OrchestratorOptionsModule.forRoot(options), options.name);
  }

  /** With options that a factory or class computes from injected services. `name` has to be given outside of it. */
  static forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return moduleOf(OrchestratorOptionsModule.forRootAsync(options), options.name);
  }
}

function moduleOf(optionsModule: DynamicModule, name = DEFAULT_NAME): DynamicModule {
  return {
    module: OrchestratorModule,
    global: true,
    imports: [
      optionsModule,
      DiscoveryModule,
      TypeOrmModule.forRootAsync({
        name,
        imports: [optionsModule],
        inject: [ORCHESTRATOR_OPTIONS, ModulesContainer],
        useFactory: (options: OrchestratorOptions, modules: ModulesContainer) => {
          assertImportedOnce(modules); // before anything is opened that would have to be closed
          return {
            type: 'postgres' as const,
            name, // @nestjs/typeorm 11 looks here for what it has to close
            // What fails here (a wrong URL, a schema that is too new) is not mended by trying again.
            toRetry: () => false,
            settings: dataSourceSettings(options),
          };
        },
        dataSourceFactory: (factoryOptions) =>
          openDataSource((factoryOptions as unknown as { settings: DataSourceSettings }).settings),
      }),
    ],
    providers: [
      { provide: ORCHESTRATOR_DATA_SOURCE, useExisting: getDataSourceToken(name) },
      { provide: ENGINE_SETTINGS, inject: [ORCHESTRATOR_OPTIONS], useFactory: engineSettings },
      {
        provide: BACKGROUND_SETTINGS,
        inject: [ORCHESTRATOR_OPTIONS],
        useFactory: (options: OrchestratorOptions) => (isPassive() ? null : resolveOptions(options).backgroundTasks),
      },
      {
        provide: WORKER_SETTINGS,
        inject: [ORCHESTRATOR_OPTIONS],
        useFactory: (options: OrchestratorOptions) => (isPassive() ? null : resolveOptions(options).worker),
      },
      { provide: PAYLOAD_SETTINGS, inject: [ORCHESTRATOR_OPTIONS], useFactory: payloadSettings },
      { provide: SECRET_KEY_SETTINGS, inject: [ORCHESTRATOR_OPTIONS], useFactory: secretKeySettings },
      Transactions,
      FlowsRepository,
      FlowRunsRepository,
      WaitingFlowRunsRepository,
      FlowRunClaimsRepository,
      RunSituationsRepository,
      RunsInFlightRepository,
      SharedRunsRepository,
      TaskRunsRepository,
      TaskQueueRepository,
      RunValuesRepository,
      FlowRunInputsRepository,
      ProcessesRepository,
      LogsRepository,
      EventsRepository,
      PayloadsRepository,
      TaskCacheRepository,
      ArtifactsRepository,
      VariablesRepository,
      BlocksRepository,
      DeploymentsRepository,
      DeploymentSchedulesRepository,
      ScheduleFillingRepository,
      ScheduleTurnsRepository,
      OwedHooksRepository,
      WorkPoolsRepository,
      WorkQueuesRepository,
      WorkersRepository,
      ConcurrencyLimitsRepository,
      ConcurrencyClaimsRepository,
      DeploymentStatusesRepository,
      RunSlotsRepository,
      DatabaseClock,
      ProcessAbilities,
      ProcessLease,
      Notifier,
      Journal,
      PayloadTable,
      Payloads,
      TaskCache,
      SettledHooks,
      HookCaller,
      Hooks,
      HookDelivery,
      TransitionService,
      StoredRuns,
      RunLogs,
      Replays,
      Rehearsals,
      AttemptInspector,
      FlowRegistry,
      ActiveFlowRuns,
      RunWaits,
      InputArrivals,
      RunPauses,
      Inbox,
      RunInputs,
      TasksInFlight,
      BackgroundTaskOutcomes,
      BorrowedTransactions,
      TaskQueue,
      SlotLine,
      HandOver,
      SlotEvents,
      Slots,
      SlotBlocks,
      RunSlots,
      SlotKeeper,
      LimitedTags,
      ConcurrencyLimits,
      ConcurrencyLeases,
      EngineScopeServices,
      HostDataSources,
      TransactionalAttempts,
      TaskRunStates,
      TaskTransactions,
      TaskBodies,
      TaskSlots,
      TaskAttempts,
      RememberedOutcomes,
      RecordedOutcomes,
      TaskEngine,
      FlowRunCreation,
      FlowBodies,
      FlowRunEndings,
      FlowAttempts,
      FlowEngine,
      OrchestratorEngine,
      RunClaimer,
      ScheduledRuns,
      SharedRuns,
      Batches,
      FlowEnqueuer,
      ScheduleNews,
      DeployedRuns,
      DeploymentForms,
      DeploymentEvents,
      DeploymentWriter,
      DeploymentRunner,
      DeclaredDeployments,
      Backfills,
      Deployments,
      ScheduleFiller,
      Scheduler,
      TurnGiver,
      LateRuns,
      MissedRuns,
      OrphanedTasks,
      DeadLetters,
      TaskClaimer,
      Sweeper,
      RunObserver,
      PauseAnswers,
      RunControl,
      RunRecordings,
      DeployChecks,
      WaitingRuns,
      Shutdown,
      RunContexts,
      Enhancers,
      FlowExplorer,
      FlowRegistrar,
      Housekeeping,
      RunHeartbeats,
      Flows,
      RunDiagnoses,
      FlowRuns,
      Results,
      BackgroundTasks,
      Readiness,
      Publications,
      SecretKeys,
      Artifacts,
      Variables,
      Blocks,
      Events,
      PoolStatuses,
      WorkPools,
      QueueIds,
      PoolWorkers,
      WorkerTypes,
      NestProcessWorker,
      NestThreadWorker,
      InfrastructureRuns,
      HandedOverRuns,
      Foreman,
    ],
    exports: [
      ...[Flows, FlowRuns, BackgroundTasks, Results, RunControl, RunInputs, RunRecordings, DeployChecks, Readiness],
      ...[Artifacts, Variables, Blocks, Events, WorkPools, HandedOverRuns],
      ...[ConcurrencyLimits, ConcurrencyLeases, Deployments],
    ],
  };
}

/** Two in one application would both claim the methods of every provider, and what is injected would be that of either. */
function assertImportedOnce(modules: ModulesContainer): void {
  const imported = [...modules.values()].filter(({ metatype }) => metatype === OrchestratorModule);
  if (imported.length > 1) throw new OrchestratorImportedTwiceError();
}

function engineSettings(options: OrchestratorOptions): EngineSettings {
  const { database: _, schema: __, ...settings } = resolveOptions(options);
  return settings;
}

function dataSourceSettings(options: OrchestratorOptions): DataSourceSettings {
  const { app, schema, database } = resolveOptions(options);
  const logger = new Logger('Database');
  return { app, schema, database, entities, migrations, isReadOnly: isPassive(), log: (line) => logger.log(line) };
}
