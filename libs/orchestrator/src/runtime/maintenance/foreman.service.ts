import { awaitingResume } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import {
  DeploymentStatusesRepository,
  type DeploymentTransition,
} from '../../records/deployments/deployment-statuses.repository.js';
import { EventsRepository, RESOURCE_ID } from '../../records/events/events.repository.js';
import { FlowRunClaimsRepository } from '../../records/flow-runs/flow-run-claims.repository.js';
import type { Look } from '../../records/looks/look.js';
import { WorkersRepository } from '../../records/work-pools/workers.repository.js';
import { RunSlots } from '../concurrency/run-slots.service.js';
import { DeclaredDeployments } from '../deployments/declared-deployments.service.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { Notifier } from '../notifications/notifier.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { PoolStatuses, POLLED_WITHIN_MS } from '../work-pools/pool-statuses.service.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

const EVERY_MS = 15_000;
const AFTER_FAILURE_MS = 1_000;
/** How many runs are dealt with at a time. */
const BATCH = 200;

/**
 * Looks after who is there: workers that are not heard of, pools, queues and deployments that nobody serves, or that went
 * with the last process of another build, runs that were submitted and do not begin, and runs that were put into a queue
 * while that was removed. Every process does so; of what several find at the same time each is dealt with once.
 */
@Injectable()
export class Foreman implements OnApplicationBootstrap {
  private readonly logger = new Logger(Foreman.name);
  private readonly loop = new WakeableLoop('Looking after workers', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly rest: Rest = { everyMs: EVERY_MS, looks: () => this.looks() };

  constructor(
    private readonly workers: WorkersRepository,
    private readonly statuses: PoolStatuses,
    private readonly deployments: DeploymentStatusesRepository,
    private readonly declared: DeclaredDeployments,
    private readonly claims: FlowRunClaimsRepository,
    private readonly events: EventsRepository,
    private readonly transactions: Transactions,
    private readonly storedRuns: StoredRuns,
    private readonly closing: RunClosing,
    private readonly slots: RunSlots,
    private readonly notifier: Notifier,
    private readonly abilities: ProcessAbilities,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.services.has('foreman')) return;
    this.clock.onSkip(() => this.loop.wake());
    this.loops.start('foreman', this.loop);
  }

  /** Looks right away. */
  wake(): void {
    this.loop.wake();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<NextRound> {
    await this.settleStatuses();
    await this.declared.settle();
    await this.takeBackStuck();
    await this.freeMisplaced();
    return this.declared.areSettled ? { pauseMs: EVERY_MS, rest: this.rest } : EVERY_MS;
  }

  private looks(): Look[] {
    const { takenFlowIds, settings } = this;
    return [
      this.workers.lookForUnsettled(),
      ...this.statuses.looks(),
      ...(takenFlowIds.length > 0 ? [this.deployments.lookForNews(settings.app, takenFlowIds)] : []),
      ...this.deployments.looksForUnsettled(POLLED_WITHIN_MS),
      ...this.claims.looksForStray(settings.app, settings.pendingTimeoutMs, BATCH, this.clock.leadUs),
    ];
  }

  /** The flows of which this process takes runs of no queue. */
  private get takenFlowIds(): readonly string[] {
    return this.abilities.serves.unqueued ? this.abilities.flowIds : [];
  }

  private async settleStatuses(): Promise<void> {
    await this.transactions.run(async (tx) => {
      await this.workers.settleStatuses(tx);
      await this.statuses.settle(tx, null);
      const flowIds = this.takenFlowIds;
      const found = flowIds.length > 0 ? await this.deployments.notePolled(tx, this.settings.app, flowIds) : [];
      const settled = await this.deployments.settleStatuses(tx, POLLED_WITHIN_MS);
      for (const one of [...found, ...settled]) await this.events.insert(tx, this.statusEvent(one));
    });
  }

  /** Runs that were submitted and have not begun: whoever looks next takes them, and what was started for them gets none. */
  private async takeBackStuck(): Promise<void> {
    const { app, pendingTimeoutMs } = this.settings;
    for (let moved = BATCH; moved === BATCH;) {
      const stuck = await this.claims.stuckInPending(app, pendingTimeoutMs, BATCH, this.clock.leadUs);
      const moves = await Promise.all(stuck.map((one) => this.takeBack(one.id, one.stateId)));
      moved = moves.filter(Boolean).length; // what others deal with at the same moment is theirs
      if (moved > 0) this.notifier.notify('due');
    }
  }

  private async takeBack(id: string, stateId: string): Promise<boolean> {
    const message = `It did not begin within ${Math.round(this.settings.pendingTimeoutMs / 1_000)} seconds.`;
    const state = awaitingResume({ scheduledTime: this.clock.now(), message, details: { interrupted: true } });
    const entered = await this.storedRuns.proposeOnce(id, ({ row }) => row.stateId === stateId, state);
    if (entered === null) return false;
    this.logger.warn(`Flow run ${id} was taken back: ${message}`);
    this.notifier.notify(`run:${id}`);
    if (entered === 'CRASHED') await this.closing.closeWithin([id]);
    else await this.slots.giveBack([id]); // others may go on while it waits
    return true;
  }

  private async freeMisplaced(): Promise<void> {
    const freed = await this.transactions.single((tx) => this.claims.freeMisplaced(tx));
    if (freed === 0) return;
    this.logger.warn(`${freed} runs waited in queues that are gone; any process that has their flow takes them.`);
    this.notifier.notify('due');
  }

  private statusEvent({ id, name, flowId, status }: DeploymentTransition) {
    return {
      id: newId(),
      occurred: this.clock.now(),
      event: status === 'READY' ? 'prefect.deployment.ready' : 'prefect.deployment.not-ready',
      resource: { [RESOURCE_ID]: `prefect.deployment.${id}`, 'prefect.resource.name': name },
      related: [{ [RESOURCE_ID]: `prefect.flow.${flowId}`, 'prefect.resource.role': 'flow' }],
      payload: {},
    };
  }
}
