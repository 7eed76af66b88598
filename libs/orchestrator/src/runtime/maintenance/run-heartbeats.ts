import { StateType, type Instant } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { EventsRepository, type NewEvent } from '../../records/events/events.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ActiveFlowRuns, type ActiveFlowRun } from '../engine/active-flow-runs.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { LiveFlowRun } from '../transitions/live-run.js';

/** Heartbeats that cannot be written are left out: the next ones are as good. */
const AFTER_FAILURE_MS = 10_000;

/**
 * Tells at intervals which flow runs this process executes, as events: for automations, and for whoever watches from outside.
 * Nothing of ours depends on them; who is dead is decided by leases.
 */
@Injectable()
export class RunHeartbeats implements OnApplicationBootstrap {
  private readonly logger = new Logger(RunHeartbeats.name);
  private readonly loop = new WakeableLoop(
    'Telling which runs are running',
    this.logger,
    () => this.round(),
    AFTER_FAILURE_MS,
  );

  constructor(
    private readonly activeRuns: ActiveFlowRuns,
    private readonly events: EventsRepository,
    private readonly transactions: Transactions,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  onApplicationBootstrap(): void {
    this.loops.start('heartbeats', this.loop, { firstAfterMs: 0 }); // before anything runs, so that the first ones come after a while
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    const isRunning = ({ live, gate }: ActiveFlowRun): boolean =>
      live.image.state?.type === StateType.Running && !gate.isClosed;
    const running = this.activeRuns.all().filter(isRunning);
    const now = this.clock.now();
    const beats = running.map(({ live }) => heartbeat(live, now));
    if (beats.length > 0) await this.transactions.single((tx) => this.events.insertAll(tx, beats));
    return this.settings.runHeartbeatMs;
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
