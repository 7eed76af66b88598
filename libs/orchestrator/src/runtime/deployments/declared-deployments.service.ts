import { Inject, Injectable, Logger } from '@nestjs/common';
import type { DeploymentEntity } from '../../records/deployments/deployment.entity.js';
import { DeploymentsRepository } from '../../records/deployments/deployments.repository.js';
import { RunSituationsRepository } from '../../records/flow-runs/run-situations.repository.js';
import { FlowsRepository } from '../../records/flows/flows.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { DEATH_RULES } from '../leases/lease-settings.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
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
  /** What is declared here, by id, as long as it is open whether another build declares more. */
  private declared: ReadonlySet<string> | null = null;

  constructor(
    private readonly registry: FlowRegistry,
    private readonly repository: DeploymentsRepository,
    private readonly flows: FlowsRepository,
    private readonly forms: DeploymentForms,
    private readonly writer: DeploymentWriter,
    private readonly situations: RunSituationsRepository,
    private readonly abilities: ProcessAbilities,
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
    await this.pauseRemoved(declared, { isStarting: true });
  }

  /**
   * Pauses what was left for other builds, once those are gone. Of flows that are registered here alone: whether another
   * part of the application comes back is only asked when this one starts.
   */
  async settle(): Promise<void> {
    if (this.declared) await this.pauseRemoved(this.declared, { isStarting: false });
  }

  /** Whether {@link settle} has nothing to wait for any more. */
  get areSettled(): boolean {
    return this.declared === null;
  }

  /**
   * What the code of this process does not declare may be declared elsewhere: a flow that is not registered here is so in
   * another part of the application, for all that is known, and one that is may be of another build, newer or older, as long
   * as one of its processes lives. Which of the two is the newer one does not matter: the one that stays decides.
   */
  private async pauseRemoved(
    declared: ReadonlySet<string>,
    { isStarting }: { readonly isStarting: boolean },
  ): Promise<void> {
    const { app } = this.settings;
    const left = (await this.repository.managed(app)).filter(({ id }) => !declared.has(id));
    const own = new Set(this.abilities.flowIds);
    const { processId } = this.process;
    let isOpen = false;
    const peers =
      left.length === 0
        ? []
        : (await this.situations.liveProcesses(app, DEATH_RULES)).filter(({ id }) => id !== processId);
    const removed = left.filter(({ flowId }) => {
      if (!own.has(flowId)) return isStarting && peers.length === 0;
      const isElsewhere = peers.some(
        ({ buildId, flowIds }) => buildId !== this.abilities.buildId && has(flowIds, flowId),
      );
      isOpen ||= isElsewhere;
      return !isElsewhere;
    });
    const flows = await this.flows.findByIds([...new Set(removed.map(({ flowId }) => flowId))]);
    for (const { id, flowId, name } of removed) {
      const flow = { id: flowId, name: flows.find((one) => one.id === flowId)?.name ?? flowId };
      if (await this.writer.pause(flow, id, 'removed', isNotAskedFor)) {
        this.logger.warn(`Deployment "${flow.name}/${name}" is not in the code any more: it is paused.`);
      }
    }
    this.declared = isOpen ? declared : null;
  }
}

/** What somebody has paused stays so, also when it comes back: that is not for its having been removed. */
async function isNotAskedFor(_: unknown, { pausedReason }: DeploymentEntity): Promise<boolean> {
  return pausedReason !== 'asked';
}

/** Whether a process that has these flows may have that one; one that starts has not said yet. */
function has(flowIds: readonly string[] | null, flowId: string): boolean {
  return flowIds === null || flowIds.includes(flowId);
}
