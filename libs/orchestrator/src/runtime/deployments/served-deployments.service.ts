import { Inject, Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { DeploymentsRepository } from '../../records/deployments/deployments.repository.js';
import type { DeploymentEntity } from '../../records/deployments/deployment.entity.js';
import { FlowsRepository } from '../../records/flows/flows.repository.js';
import { ProcessesRepository } from '../../records/processes/processes.repository.js';
import { withinMs } from '../engine/wait-until.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { DEATH_RULES } from '../leases/lease-settings.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { isIsolated } from '../workers/isolation/isolated.js';
import { WORKER_SETTINGS, type WorkerSettings } from '../workers/worker-settings.js';
import { DeploymentWriter } from './deployment-writer.service.js';
import type { DeployedFlow } from './desired-deployment.js';

/** How long a shutdown waits for that: a server that lost its network never answers. */
const LEAVE_WITHIN_MS = 5_000;

/** What a process takes that is about to end. */
const NOTHING = { limit: 0, unqueued: false, pools: [] };

type Served = Pick<DeploymentEntity, 'id' | 'flowId' | 'name'>;

/**
 * The deployments that this process serves: those of its flows that are in no work pool, whose runs it takes itself. Where
 * that is asked for, the last process that serves one pauses it when it leaves; the first that does so again lets it go on.
 * A process that dies pauses nothing.
 */
@Injectable()
export class ServedDeployments {
  private readonly logger = new Logger(ServedDeployments.name);

  constructor(
    private readonly deployments: DeploymentsRepository,
    private readonly flows: FlowsRepository,
    private readonly processes: ProcessesRepository,
    private readonly writer: DeploymentWriter,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly abilities: ProcessAbilities,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(WORKER_SETTINGS) private readonly worker: WorkerSettings | null,
  ) {}

  /** Lets those go on that were paused because nobody served them. */
  async comeBack(): Promise<void> {
    if (!this.serves) return;
    for (const [flow, one] of await this.of({ away: true })) {
      const isStillAway = async (_: unknown, { pausedReason }: DeploymentEntity): Promise<boolean> =>
        pausedReason === 'away';
      if (await this.writer.pause(flow, one.id, null, isStillAway)) {
        this.logger.log(`Deployment "${flow.name}/${one.name}" goes on: it is served again.`);
      }
    }
  }

  /** Pauses those that nobody serves any more once this process has left. Never rejects. */
  async leave(): Promise<void> {
    if (!this.settings.pausesOnShutdown || !this.serves) return;
    const left = this.pauseUnserved().catch((error: unknown) => {
      this.logger.warn(`Deployments that nobody serves any more could not be paused: ${String(error)}`);
    });
    await withinMs(left, LEAVE_WITHIN_MS);
  }

  private get serves(): boolean {
    return this.worker?.unqueued === true && !isIsolated() && this.abilities.flowIds.length > 0;
  }

  /**
   * First it says that it takes nothing any more, then it looks who else does: of several that leave at the same moment, the
   * one that looks last finds none of the others. One that starts meanwhile joins first, and then looks for what is paused,
   * under the same lock of the deployment: either it is seen here, or it finds what was paused.
   */
  private async pauseUnserved(): Promise<void> {
    const { app } = this.settings;
    const { processId } = this.process;
    const { buildId, flowIds } = this.abilities;
    await this.transactions.single((tx) =>
      this.processes.describe(tx, { id: processId, buildId, flowIds, serves: NOTHING }),
    );
    for (const [flow, one] of await this.of({ away: false })) {
      const paused = await this.writer.pause(flow, one.id, 'away', async (tx, { paused: isPaused, workQueueId }) => {
        return (
          !isPaused &&
          workQueueId === null &&
          !(await this.deployments.isServed(tx, app, one.flowId, processId, DEATH_RULES.leaseMs))
        );
      });
      if (paused) this.logger.log(`Deployment "${flow.name}/${one.name}" is paused: nobody serves it any more.`);
    }
  }

  private async of(which: { readonly away: boolean }): Promise<(readonly [DeployedFlow, Served])[]> {
    const served = await this.deployments.servedFreely(this.settings.app, this.abilities.flowIds, which);
    const flows = await this.flows.findByIds([...new Set(served.map(({ flowId }) => flowId))]);
    const names = new Map(flows.map(({ id, name }) => [id, name]));
    return served.map((one) => [{ id: one.flowId, name: names.get(one.flowId) ?? one.flowId }, one]);
  }
}
