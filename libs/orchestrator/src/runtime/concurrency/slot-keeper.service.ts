import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { ConcurrencyClaimsRepository } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { FairLinesRepository } from '../../records/fair-lines/fair-lines.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../recovery/wakeable-loop.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { HandOver } from './hand-over.service.js';
import { RunSlots } from './run-slots.service.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

/** Slots of leases that ran out are free this much later at the latest. */
const EVERY_MS = 2_500;
const AFTER_FAILURE_MS = 1_000;
/** How many claims are ended with one statement. */
const BATCH = 200;

/**
 * Frees slots that nobody gives back any more: those of processes that are fenced or gone, and those whose lease has run out.
 * Every process does so; whoever is first ends a claim, and hands its slots over.
 */
@Injectable()
export class SlotKeeper implements OnApplicationBootstrap {
  private readonly logger = new Logger(SlotKeeper.name);
  private readonly loop = new WakeableLoop('Freeing slots', this.logger, () => this.round(), AFTER_FAILURE_MS);

  constructor(
    private readonly claims: ConcurrencyClaimsRepository,
    private readonly transactions: Transactions,
    private readonly clock: DatabaseClock,
    private readonly handOver: HandOver,
    private readonly runSlots: RunSlots,
    private readonly lines: FairLinesRepository,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.services.has('slots')) return;
    this.loops.start('slots', this.loop);
  }

  /** A process was fenced. */
  wake(): void {
    this.loop.wake();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    for (let ended = BATCH; ended === BATCH;) {
      const over = await this.transactions.single((tx) => this.claims.endAbandoned(tx, BATCH, this.clock.leadUs));
      this.handOver.tell(over.handed);
      ended = over.ended;
      if (ended > 0) this.logger.warn(`${ended} claims of slots were ended whose holders are gone.`);
    }
    await this.runSlots.lookAfter();
    await this.lines.tidy(this.settings.app);
    return EVERY_MS;
  }
}
