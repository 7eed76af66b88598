import { StateType, type Instant } from '@nestor/core';
import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { EventsRepository, type NewEvent } from '../../records/events/events.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ActiveFlowRuns, type ActiveFlowRun } from '../engine/active-flow-runs.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { LiveFlowRun } from '../transitions/live-run.js';

/**
 * Tells at intervals which flow runs this process executes, as events: for automations, and for whoever watches from outside.
 * Nothing of ours depends on them; who is dead is decided by leases.
 */
@Injectable()
export class RunHeartbeats implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(RunHeartbeats.name);
  private timer: NodeJS.Timeout | null = null;
  private round: Promise<void> | null = null;

  constructor(
    private readonly activeRuns: ActiveFlowRuns,
    private readonly events: EventsRepository,
    private readonly transactions: Transactions,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.round ??= this.beat().finally(() => (this.round = null));
    }, this.settings.runHeartbeatMs);
    this.timer.unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.round;
  }

  /** A heartbeat that cannot be written is left out; the next one is as good. */
  private async beat(): Promise<void> {
    const isRunning = ({ live, gate }: ActiveFlowRun): boolean =>
      live.image.state?.type === StateType.Running && !gate.isClosed;
    const running = this.activeRuns.all().filter(isRunning);
    if (running.length === 0) return;
    const now = this.clock.now();
    try {
      const beats = running.map(({ live }) => heartbeat(live, now));
      await this.transactions.single((tx) => this.events.insertAll(tx, beats));
    } catch (error) {
      this.logger.warn(`The heartbeats of ${running.length} flow runs are left out: ${String(error)}`);
    }
  }
}

function heartbeat({ created: { id, name, flowId } }: LiveFlowRun, occurred: Instant): NewEvent {
  return {
    id: newId(),
    occurred,
    event: 'prefect.flow-run.heartbeat',
    resource: { 'prefect.resource.id': `prefect.flow-run.${id}`, 'prefect.resource.name': name },
    related: [{ 'prefect.resource.id': `prefect.flow.${flowId}`, 'prefect.resource.role': 'flow' }],
    payload: {},
  };
}
