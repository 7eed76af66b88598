import { addMs, formatInstant, type Instant } from '@nestor/core';
import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { EventsRepository, RESOURCE_ID, type NewEvent } from '../../records/events/events.repository.js';
import { ProcessesRepository } from '../../records/processes/processes.repository.js';
import { withinMs } from '../engine/wait-until.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { isPassive } from '../passive-start.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { LoopStatus } from './loop-status.js';
import { SharedLooks } from './shared-looks.service.js';
import type { WakeableLoop } from './wakeable-loop.js';

/**
 * What has been due for longer than this is not done as promised: most loops look every five seconds,
 * none more rarely than 20.
 */
const BEHIND_MS = 30_000;
/** A loop that hangs in a round says nothing by itself: it is looked at this often. */
const LOOK_MS = 5_000;
/**
 * The first rounds begin one after the other, unless something is to be done before: all at once they would open every session of
 * the pool, each of which costs the server some hundredths of a second, again and again where processes come and go.
 */
const FIRST_ROUNDS_APART_MS = 20;
/** How long the last news may take when this process ends. */
const LAST_NEWS_MS = 1_000;

/**
 * The loops of this process: whatever it does again and again for all of the application. One that falls behind says so,
 * once: in the log, as event `nestor.loop.behind`, and in the row of the process, where `whyNotRunning` finds it; and again
 * when it has caught up (`nestor.loop.caught-up`).
 */
@Injectable()
export class Loops implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Loops.name);
  private readonly watched = new Map<string, Watched>();
  /** What others are to be told, in order. */
  private readonly news: LoopNews[] = [];
  private timer: NodeJS.Timeout | null = null;
  private telling: Promise<void> | null = null;

  constructor(
    private readonly events: EventsRepository,
    private readonly processes: ProcessesRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
    private readonly shared: SharedLooks,
  ) {}

  onApplicationBootstrap(): void {
    if (isPassive()) return;
    this.process.listen({
      rejoined: () => {
        // Its row is another one by now.
        for (const one of this.watched.values()) if (one.behindSince !== null) this.note(one, one.behindSince, true);
      },
    });
    this.timer = setInterval(() => this.look(), LOOK_MS);
    this.timer.unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await withinMs(this.telling ?? Promise.resolve(), LAST_NEWS_MS);
  }

  /**
   * Starts a loop, within some tenths of a second, and watches it from now on.
   *
   * @param key what it is called in events and statuses.
   * @param special how late it has to be to be behind, and when its first round begins, where that is not the usual.
   */
  start(
    key: string,
    loop: WakeableLoop,
    special: { readonly behindMs?: number; readonly firstAfterMs?: number } = {},
  ): void {
    const { behindMs = BEHIND_MS, firstAfterMs = FIRST_ROUNDS_APART_MS * this.watched.size } = special;
    const one: Watched = { key, loop, behindMs, behindSince: null, judged: null };
    this.watched.set(key, one);
    loop.onRound = () => this.judge(one);
    this.shared.share(loop);
    loop.start(firstAfterMs);
  }

  /** How the loops of this process keep up, by name. Which loops of others are behind, `whyNotRunning` tells. */
  statuses(): LoopStatus[] {
    const now = this.clock.now();
    const all = [...this.watched.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
    return all.map((one) => statusOf(one, now));
  }

  private look(): void {
    for (const one of this.watched.values()) this.judge(one);
    this.tell(); // also what could not be told before
  }

  private judge(one: Watched): void {
    const { loop } = one;
    const { lagMs, lastRound } = loop;
    // A round that ended late is told as well, although the next one is not due yet; but not twice.
    const lateMs = lastRound !== null && lastRound !== one.judged ? lastRound.lagMs : 0;
    const mostMs = Math.max(lagMs, lateMs);
    if (one.behindSince === null && mostMs > one.behindMs) {
      one.behindSince = addMs(this.clock.now(), -Math.round(mostMs));
      const failure = lastRound?.error;
      this.logger.warn(
        `${loop.name} is ${Math.round(mostMs / 1_000)} seconds behind: this process or its database is overloaded` +
          `${failure ? `, or it fails: ${failure}` : '.'}`,
      );
      this.note(one, one.behindSince, true);
    } else if (one.behindSince !== null && lagMs < one.behindMs / 2) {
      this.logger.log(`${loop.name} has caught up.`);
      const since = one.behindSince;
      one.behindSince = null;
      this.note(one, since, false);
    }
    one.judged = lastRound;
  }

  private note({ key, loop }: Watched, since: Instant, isBehind: boolean): void {
    const error = loop.lastRound?.error ?? null;
    this.news.push({ key, title: loop.name, since, isBehind, error, at: this.clock.now() });
    this.tell();
  }

  /** Tells everybody. Never rejects: what cannot be told is told with one of the next looks. */
  private tell(): void {
    if (this.news.length === 0) return;
    this.telling ??= this.tellNews()
      .catch((error: unknown) => this.logger.debug(`Which loops are behind is told later: ${String(error)}`))
      .finally(() => (this.telling = null));
  }

  private async tellNews(): Promise<void> {
    const { processId } = this.process;
    const news = [...this.news];
    const behind = [...this.watched.values()].flatMap(({ key, behindSince }) =>
      behindSince === null ? [] : [{ loop: key, since: formatInstant(behindSince) }],
    );
    await this.transactions.run(async (tx) => {
      await this.processes.noteLoopsBehind(tx, processId, behind);
      for (const one of news) await this.events.insert(tx, eventOf(one, processId));
    });
    this.news.splice(0, news.length);
  }
}

/** A loop, and what is known of how it keeps up. */
interface Watched {
  readonly key: string;
  readonly loop: WakeableLoop;
  readonly behindMs: number;
  behindSince: Instant | null;
  /** The round that was looked at last. */
  judged: WakeableLoop['lastRound'];
}

/** A loop fell behind, or has caught up. */
interface LoopNews {
  readonly key: string;
  readonly title: string;
  /** Since when it was behind. */
  readonly since: Instant;
  readonly isBehind: boolean;
  readonly error: string | null;
  readonly at: Instant;
}

function eventOf({ key, title, since, isBehind, error, at }: LoopNews, processId: string): NewEvent {
  return {
    id: newId(),
    occurred: at,
    event: isBehind ? 'nestor.loop.behind' : 'nestor.loop.caught-up',
    resource: {
      [RESOURCE_ID]: `nestor.process.${processId}`,
      'prefect.resource.name': title,
      'nestor.loop': key,
    },
    related: [],
    payload: { since: formatInstant(since), error },
  };
}

function statusOf({ key, loop, behindSince }: Watched, now: Instant): LoopStatus {
  const { lastRound } = loop;
  return {
    loop: key,
    title: loop.name,
    lastRoundAt: lastRound && addMs(now, -Math.round(performance.now() - lastRound.beganAt)),
    lastRoundMs: lastRound && Math.round(lastRound.durationMs),
    error: lastRound?.error ?? null,
    lagMs: Math.round(loop.lagMs),
    behindSince,
  };
}
