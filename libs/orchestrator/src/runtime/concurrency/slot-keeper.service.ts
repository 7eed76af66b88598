import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { ConcurrencyClaimsRepository } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { FairLinesRepository } from '../../records/fair-lines/fair-lines.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { HandOver } from './hand-over.service.js';
import { RunSlots } from './run-slots.service.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

/**
 * The pause where no look says anything else. Looks know when the next lease of slots runs out: those slots are free right
 * after that, and at most two and a half seconds later where the lease was so short that it began after the last look.
 */
const EVERY_MS = 4_000;
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
  private readonly rest: Rest = {
    everyMs: EVERY_MS,
    looks: () => [
      ...this.claims.looksForAbandoned(),
      ...this.runSlots.looks(),
      this.lines.lookForUntidy(this.settings.app),
    ],
  };

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

  /** A process was fenced: the slots of its code are nobody's. */
  wake(): void {
    this.loop.wake();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<NextRound> {
    for (let ended = BATCH; ended === BATCH;) {
      const over = await this.transactions.single((tx) => this.claims.endAbandoned(tx, BATCH, this.clock.leadUs));
      this.handOver.tell(over.handed);
      ended = over.ended;
      if (ended > 0) this.logger.warn(`${ended} claims of slots were ended whose holders are gone.`);
    }
    await this.runSlots.lookAfter();
    await this.lines.tidy(this.settings.app);
    return { pauseMs: EVERY_MS, rest: this.rest };
  }
}
