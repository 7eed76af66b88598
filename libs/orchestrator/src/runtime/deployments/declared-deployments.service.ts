import { Inject, Injectable, Logger } from '@nestjs/common';
import { DeploymentsRepository } from '../../records/deployments/deployments.repository.js';
import { FlowsRepository } from '../../records/flows/flows.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { DEATH_RULES } from '../leases/lease-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { isIsolated } from '../workers/isolation/isolated.js';
import { PoolWorkers } from '../workers/pool-workers.service.js';
import { DeploymentForms } from './deployment-forms.service.js';
import { DeploymentWriter } from './deployment-writer.service.js';

/**
 * Makes the deployments in the database what the code declares, when the application starts. Processes that start together agree:
 * one makes a row, the others find it as it is to be.
 */
@Injectable()
export class DeclaredDeployments {
  private readonly logger = new Logger(DeclaredDeployments.name);

  constructor(
    private readonly registry: FlowRegistry,
    private readonly repository: DeploymentsRepository,
    private readonly flows: FlowsRepository,
    private readonly forms: DeploymentForms,
    private readonly writer: DeploymentWriter,
    private readonly process: ProcessLease,
    private readonly poolWorkers: PoolWorkers,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** @throws what {@link DeploymentForms.desired} throws. */
  async reconcile(): Promise<void> {
    if (isIsolated()) return; // its worker has done so, and may be of an older build than others by now
    const declared = new Set<string>();
    for (const definition of this.registry.flows()) {
      const flow = { id: this.registry.flowId(definition.name), name: definition.name };
      for (const spec of definition.deployments) {
        // Pools that this process serves are there once it serves them, which is later.
        if (spec.workPool) await this.poolWorkers.make(spec.workPool.name);
        const desired = await this.forms.desired(spec, definition);
        const { id, outcome, fields } = await this.writer.save(flow, desired, { managed: true, by: null });
        declared.add(id);
        const changed = outcome === 'updated' ? ` (${fields.join(', ')})` : '';
        if (outcome !== 'unchanged')
          this.logger.log(`Deployment "${flow.name}/${spec.name}" was ${outcome}${changed}.`);
      }
    }
    await this.pauseRemoved(declared);
  }

  /**
   * A flow that is not registered here may be so elsewhere in the application: what it declares is only taken for removed when
   * this is the only process.
   */
  private async pauseRemoved(declared: ReadonlySet<string>): Promise<void> {
    const { app } = this.settings;
    const left = (await this.repository.managed(app)).filter(({ id }) => !declared.has(id));
    if (left.length === 0) return;
    const own = new Set(this.registry.allFlowIds());
    const hasPeers = await this.repository.hasPeers(app, this.process.processId, DEATH_RULES.leaseMs);
    const removed = left.filter(({ flowId }) => own.has(flowId) || !hasPeers);
    const flows = await this.flows.findByIds([...new Set(removed.map(({ flowId }) => flowId))]);
    for (const { id, flowId, name } of removed) {
      const flow = { id: flowId, name: flows.find((one) => one.id === flowId)?.name ?? flowId };
      if (await this.writer.pause(flow, id, 'removed')) {
        this.logger.warn(`Deployment "${flow.name}/${name}" is not in the code any more: it is paused.`);
      }
    }
  }
}
