import { Logger, Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule, ModulesContainer } from '@nestjs/core';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { migrations } from '../../../migrations/index.js';
import { FlowExplorer } from './authoring/flow.explorer.js';
import { FlowRegistrar } from './authoring/flow.registrar.js';
import { ScheduledMethods } from './authoring/scheduled-methods.js';
import {
  ASYNC_OPTIONS_TYPE,
  OPTIONS_TYPE,
  OptionsModuleClass,
  ORCHESTRATOR_OPTIONS,
} from './orchestrator.module-definition.js';
import { resolveOptions, type OrchestratorOptions } from './orchestrator.options.js';
import { openDataSource, type DataSourceSettings } from './persistence/open-data-source.js';
import { ORCHESTRATOR_DATA_SOURCE } from './persistence/tokens.js';
import { Transactions } from './persistence/transactions.js';
import { entities } from './records/entities.js';
import { repositories } from './records/repositories.js';
import { Artifacts } from './runtime/artifacts/artifacts.service.js';
import { BackgroundTasks } from './runtime/background/background-tasks.service.js';
import { Blocks } from './runtime/blocks/blocks.service.js';
import { ConcurrencyLeases } from './runtime/concurrency/concurrency-leases.service.js';
import { ConcurrencyLimits } from './runtime/concurrency/concurrency-limits.service.js';
import { RunControl } from './runtime/control/run-control.service.js';
import { Deployments } from './runtime/deployments/deployments.service.js';
import { Events } from './runtime/events/events.service.js';
import { FlowRuns } from './runtime/flow-runs.service.js';
import { Flows } from './runtime/flows.service.js';
import { RunInputs } from './runtime/inputs/run-inputs.service.js';
import { Loops } from './runtime/loops/loops.service.js';
import { isPassive } from './runtime/passive-start.js';
import { Readiness } from './runtime/readiness.service.js';
import { RunOnce } from './runtime/recovery/run-once.service.js';
import { OrchestratorImportedTwiceError } from './runtime/registry/registry-errors.js';
import { DeployChecks } from './runtime/rehearsal/deploy-checks.service.js';
import { RunRecordings } from './runtime/rehearsal/run-recordings.service.js';
import { Results } from './runtime/results.service.js';
import { runtimeProviders } from './runtime/runtime.providers.js';
import { Variables } from './runtime/variables/variables.service.js';
import { WorkPools } from './runtime/work-pools/work-pools.service.js';
import { HandedOverRuns } from './runtime/workers/handed-over-runs.service.js';
import { TearDowns } from './runtime/workers/tear-downs.service.js';
import { settingsProviders } from './settings.providers.js';

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
      Transactions,
      ...settingsProviders,
      ...repositories,
      ...runtimeProviders,
      ScheduledMethods,
      FlowExplorer,
      FlowRegistrar,
    ],
    exports: [
      ...[Flows, FlowRuns, BackgroundTasks, Results, RunControl, RunInputs, RunRecordings, DeployChecks, Readiness],
      ...[Artifacts, Variables, Blocks, Events, WorkPools, HandedOverRuns, TearDowns, RunOnce, Loops],
      ...[ConcurrencyLimits, ConcurrencyLeases, Deployments, ScheduledMethods],
    ],
  };
}

/** Two in one application would both claim the methods of every provider, and what is injected would be that of either. */
function assertImportedOnce(modules: ModulesContainer): void {
  const imported = [...modules.values()].filter(({ metatype }) => metatype === OrchestratorModule);
  if (imported.length > 1) throw new OrchestratorImportedTwiceError();
}

function dataSourceSettings(options: OrchestratorOptions): DataSourceSettings {
  const { app, schema, database } = resolveOptions(options);
  const logger = new Logger('Database');
  return { app, schema, database, entities, migrations, isReadOnly: isPassive(), log: (line) => logger.log(line) };
}
