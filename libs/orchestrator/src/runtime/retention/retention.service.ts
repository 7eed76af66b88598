import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { EventsRepository, RESOURCE_ID, type NewEvent } from '../../records/events/events.repository.js';
import { RetentionPassesRepository } from '../../records/retention/retention-passes.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { ExpiredEvents } from './expired-events.service.js';
import { ExpiredPublications } from './expired-publications.service.js';
import { ExpiredRuns } from './expired-runs.service.js';
import { ExpiredWeeks } from './expired-weeks.service.js';
import { RetentionPass, type Removed } from './retention-pass.js';
import { RETENTION_SETTINGS, type RetentionSettings } from './retention-settings.js';

/** From the end of a pass that left nothing to the beginning of the next one, as in the contract. */
const EVERY_MS = 3_600_000;
/** From the end of one that left something. */
const SOON_MS = 10_000;
/** A process that has just started has better things to do. */
const FIRST_MS = 60_000;
const AFTER_FAILURE_MS = 60_000;
/** A process that does not go on with its pass for so long does not any more. */
const HOLD_MS = 60_000;

/**
 * Removes what is older than it is kept: events, log lines, artifacts, runs. Of the processes of an application
 * one at a time does so, in passes that are bounded in time and in rows, batch by batch; each batch leaves the
 * database as it should be.
 */
@Injectable()
export class Retention implements OnApplicationBootstrap {
  private readonly logger = new Logger('Retention');
  private readonly loop = new WakeableLoop('Removing what is old', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private pass: RetentionPass | null = null;
  private hasWaited = false;
  private isStopping = false;

  constructor(
    private readonly passes: RetentionPassesRepository,
    private readonly events: EventsRepository,
    private readonly transactions: Transactions,
    private readonly expiredEvents: ExpiredEvents,
    private readonly expiredPublications: ExpiredPublications,
    private readonly expiredRuns: ExpiredRuns,
    private readonly expiredWeeks: ExpiredWeeks,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly engine: EngineSettings,
    @Inject(RETENTION_SETTINGS) private readonly settings: RetentionSettings,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    // Also where everything is kept: somebody who deleted runs may have died before nothing was left of them.
    if (this.services.has('retention')) this.loops.start('retention', this.loop, { behindMs: EVERY_MS });
  }

  stop(): Promise<void> {
    this.isStopping = true;
    this.pass?.end();
    return this.loop.stop();
  }

  /** Does the pass that is due, unless another process is at it; gives what it removed, `null` when it was not its turn. */
  async removeExpired(): Promise<Removed | null> {
    const holder = { app: this.engine.app, processId: this.process.processId };
    const begun = await this.transactions.single((tx) => this.passes.begin(tx, holder, HOLD_MS));
    if (!begun) return null;
    const hold = (): Promise<boolean> => this.transactions.single((tx) => this.passes.hold(tx, holder, HOLD_MS));
    const pass = new RetentionPass({ ...begun, holder, now: this.clock.now(), hold });
    this.pass = pass;
    if (this.isStopping) pass.end();
    let nextInMs = AFTER_FAILURE_MS;
    try {
      nextInMs = (await this.steps(pass)) ? EVERY_MS : SOON_MS;
    } finally {
      this.pass = null;
      await this.transactions.single((tx) => this.passes.end(tx, holder, nextInMs, pass.cursors));
      await this.tell(pass.removed);
    }
    return pass.removed;
  }

  private async round(): Promise<number> {
    if (!this.hasWaited) {
      this.hasWaited = true;
      return FIRST_MS;
    }
    await this.removeExpired();
    const nextInMs = await this.transactions.single((tx) => this.passes.nextInMs(tx, this.engine.app));
    // Whoever is at it may die; and when it has ended, the next one may be due soon.
    return Math.min(Math.max(nextInMs ?? 0, SOON_MS), EVERY_MS);
  }

  /** Gives whether nothing is left. What costs least for what it removes comes first. */
  private async steps(pass: RetentionPass): Promise<boolean> {
    const { runsMs } = this.settings;
    const events = await this.expiredEvents.remove(pass);
    const publications = await this.expiredPublications.remove(pass);
    if (!(await this.expiredRuns.finish(pass))) return false;
    if (runsMs === null) return events && publications;
    await this.expiredWeeks.drop(pass, runsMs);
    const runs = await this.expiredRuns.remove(pass, runsMs);
    return events && publications && runs;
  }

  private async tell(removed: Removed): Promise<void> {
    const { partitions, ...counts } = removed;
    const parts = Object.entries(counts).flatMap(([noun, count]) => (count > 0 ? [`${count} ${NAMES[noun]}`] : []));
    if (partitions.length > 0) parts.push(`the weeks ${partitions.join(', ')} as a whole`);
    if (parts.length === 0) return;
    this.logger.log(`Removed because of their age: ${parts.join(', ')}.`);
    await this.transactions.single((tx) => this.events.insert(tx, this.eventOf(removed)));
  }

  private eventOf(removed: Removed): NewEvent {
    return {
      id: newId(),
      occurred: this.clock.now(),
      event: 'nestor.retention.removed',
      resource: { [RESOURCE_ID]: `nestor.app.${this.engine.app}`, 'nestor.process': this.process.processId },
      related: [],
      payload: { ...removed },
    };
  }
}

const NAMES: Readonly<Record<string, string>> = {
  flowRuns: 'flow runs',
  taskRuns: 'task runs',
  logs: 'log lines',
  artifacts: 'artifacts',
  events: 'events',
};
