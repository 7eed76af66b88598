import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { ScheduleFillingRepository } from '../../records/deployments/schedule-filling.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { ScheduleFiller } from './schedule-filler.service.js';
import { ScheduleNews } from './schedule-news.service.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

/** Without a wake-up, a schedule may have been changed elsewhere for this long: its runs are there within five seconds. */
const IDLE_MS = 4_000;
const AFTER_FAILURE_MS = 1_000;

/** How often it is noted that somebody looks after the schedules. */
const WATCH_MS = 10_000;

/**
 * Makes the runs of schedules ahead of their times. Every process does so: a schedule is locked by whoever makes its runs, and a
 * key makes one run of each time, whoever comes later.
 */
@Injectable()
export class Scheduler implements OnApplicationBootstrap {
  private readonly loop = new WakeableLoop(
    'Scheduling',
    new Logger(Scheduler.name),
    () => this.round(),
    AFTER_FAILURE_MS,
  );
  private readonly rest: Rest = {
    everyMs: IDLE_MS,
    looks: () => this.schedules.looksForWork(this.settings.app, WATCH_MS, this.clock.leadUs),
  };
  private watchedAt = -Infinity;

  constructor(
    private readonly filler: ScheduleFiller,
    private readonly schedules: ScheduleFillingRepository,
    private readonly transactions: Transactions,
    private readonly news: ScheduleNews,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.services.has('scheduler')) return;
    this.news.listen(() => this.loop.wake());
    this.loops.start('scheduler', this.loop);
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** Makes what has to be made by now; gives the pause in milliseconds until the next look, and since when some is left. */
  async round(): Promise<NextRound> {
    const isWatched = performance.now() - this.watchedAt < WATCH_MS;
    let dueInMs = await (isWatched ? this.nextFillInMs() : this.watch());
    if (dueInMs !== null && dueInMs <= 0) {
      let filled = 0;
      for (let some = 1; some > 0; filled += some) some = await this.filler.fillSome();
      dueInMs = await (filled > 0 ? this.watch() : this.nextFillInMs());
    }
    // One that is due all the same is being filled by somebody else.
    if (dueInMs !== null && dueInMs <= 0) return { pauseMs: IDLE_MS, overdueMs: -dueInMs };
    return { pauseMs: Math.min(dueInMs ?? IDLE_MS, IDLE_MS), rest: this.rest };
  }

  private nextFillInMs(): Promise<number | null> {
    return this.transactions.single((tx) => this.schedules.nextFillInMs(tx, this.settings.app, this.clock.leadUs));
  }

  /** Notes that somebody is there; gives what `nextFillInMs` does. */
  private async watch(): Promise<number | null> {
    const { app } = this.settings;
    const dueInMs = await this.transactions.single((tx) => this.schedules.watch(tx, app, WATCH_MS, this.clock.leadUs));
    this.watchedAt = performance.now();
    return dueInMs;
  }
}
