import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ORCHESTRATOR_DATA_SOURCE } from '../persistence/tokens.js';
import { Transactions } from '../persistence/transactions.js';
import { isPassive } from '../runtime/passive-start.js';
import { FlowsRepository } from '../records/flows/flows.repository.js';
import { ProcessLease } from '../runtime/leases/process-lease.service.js';
import { OrchestratorEngine } from '../runtime/engine/orchestrator-engine.js';
import { bindClass, bindInstance, noteStarting, unbindClass } from '../runtime/registry/engine-bindings.js';
import { HostDataSources } from '../runtime/transactional/host-data-sources.service.js';
import { FlowRegistry } from '../runtime/registry/flow-registry.js';
import { DeclaredDeployments } from '../runtime/deployments/declared-deployments.service.js';
import { ServedDeployments } from '../runtime/deployments/served-deployments.service.js';
import { MissedRuns } from '../runtime/scheduler/missed-runs.service.js';
import { FlowExplorer } from './flow.explorer.js';

/**
 * Fills the registry with what the explorer finds, makes the flows known to the database, and tells the decorated methods
 * whose they are: from then on a call of one is a run.
 */
@Injectable()
export class FlowRegistrar implements OnModuleInit, OnApplicationShutdown {
  private readonly started = noteStarting();

  constructor(
    private readonly explorer: FlowExplorer,
    private readonly registry: FlowRegistry,
    private readonly engine: OrchestratorEngine,
    private readonly flows: FlowsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly hostDataSources: HostDataSources,
    private readonly deployments: DeclaredDeployments,
    private readonly served: ServedDeployments,
    private readonly missedRuns: MissedRuns,
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
  ) {}

  /** @throws {FlowRegisteredTwiceError} and what else is wrong with the definitions, before anything is written. */
  async onModuleInit(): Promise<void> {
    try {
      await this.register();
    } catch (error) {
      // Nest shuts nothing down that did not start, and open connections would keep the process alive.
      await this.process.leave();
      await this.dataSource.destroy();
      throw error;
    } finally {
      this.started();
    }
  }

  onApplicationShutdown(): void {
    this.started();
    for (const provider of this.registry.classes()) unbindClass(provider, this.engine);
  }

  private async register(): Promise<void> {
    const explored = this.explorer.explore();
    for (const { definitions } of explored) {
      for (const definition of definitions) this.registry.add(definition);
    }
    const names = this.registry.flows().map((flow) => flow.name);
    if (isPassive()) {
      this.engine.stopAccepting();
      this.registry.setFlowIds(await this.flows.idsOf(names));
      return this.bind(explored);
    }
    await this.hostDataSources.prepare(this.registry.tasks());
    if (names.length > 0) {
      this.registry.setFlowIds(await this.transactions.single((tx) => this.flows.register(tx, names)));
    }
    await this.deployments.reconcile();
    await this.served.comeBack();
    await this.missedRuns.settle();
    this.bind(explored);
  }

  private bind(explored: ReturnType<FlowExplorer['explore']>): void {
    for (const { provider, instance } of explored) {
      bindClass(provider, this.engine);
      if (instance) bindInstance(instance, this.engine);
    }
  }
}
