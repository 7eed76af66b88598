import { addMs } from '@nestor/core';
import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import {
  ConcurrencyClaimsRepository,
  type PolledClaim,
} from '../../records/concurrency-limits/concurrency-claims.repository.js';
import type { Attempt } from '../engine/attempt.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { whenToldOf } from '../notifications/when-told.js';
import { DatabaseClock } from '../transitions/database-clock.js';

/** How long it may go unnoticed that a claim was given its slots. */
const LOOK_EVERY_MS = 1_000;
const AFTER_FAILURE_MS = 500;

/** How many claims are remembered that got their slots before anybody waited for them: for some nobody ever will. */
const MAX_EARLY = 1_000;

/** How waiting ended. */
type LineEnd = Exclude<PolledClaim['outcome'], 'waiting'> | 'stopped';

/** Somebody here who waits for the slots of a claim. */
interface Waiter {
  /** When the claim is looked at next, in the time of `performance.now()`. */
  lookAt: number;
  /** Of the attempt that waits, by which a clock that skips time knows it; outside any run one of its own. */
  readonly signal: AbortSignal;
  readonly settle: (end: LineEnd) => void;
  /** Outside any run: ends the wait for its turn, where that is known. */
  readonly stop: () => void;
}

/**
 * The claims of this process that wait for slots. Whoever hands slots over says so; otherwise it is noticed by looking once a
 * second. Where slots decay nobody hands any over, and each looks when its turn has come.
 */
@Injectable()
export class SlotLine implements OnApplicationBootstrap {
  private readonly logger = new Logger(SlotLine.name);
  private readonly waiting = new Map<string, Waiter>();
  /** Claims that got their slots before anybody here waits for them: the answer that they are to wait is on its way. */
  private readonly early = new Set<string>();
  private stopped = false;
  private readonly loop = new WakeableLoop('Waiting for slots', this.logger, () => this.round(), AFTER_FAILURE_MS);

  constructor(
    private readonly claims: ConcurrencyClaimsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
  ) {}

  onApplicationBootstrap(): void {
    const lookAtAll = (): void => this.lookAtAll();
    this.process.listen(whenToldOf('slot', (claimId) => this.granted(claimId), lookAtAll));
    this.clock.onSkip(lookAtAll);
    this.loops.start('slot-line', this.loop);
  }

  /**
   * Resolves when a claim has its slots, or will not get any.
   *
   * @param waitMs when its turn comes, where that is known.
   * @param attempt of the run that waits. What becomes of the claim when that is over is the caller's matter: see {@link leave}.
   */
  wait(claimId: string, waitMs: number | null, attempt: Attempt | null): Promise<LineEnd> {
    if (this.stopped) return Promise.resolve('stopped');
    if (this.early.delete(claimId)) return Promise.resolve('granted');
    return new Promise((settle) => {
      const lookAt = performance.now() + LOOK_EVERY_MS;
      const own = new AbortController();
      const signal = attempt?.signal ?? own.signal;
      this.waiting.set(claimId, { lookAt, signal, settle, stop: () => own.abort() });
      if (waitMs !== null) this.lookIn(claimId, waitMs);
      this.loop.wake(); // its pause may be longer than this one's
    });
  }

  /** Nobody waits for the claim any more. */
  leave(claimId: string): void {
    this.waiting.get(claimId)?.stop();
    this.waiting.delete(claimId);
  }

  /**
   * A claim has its slots. Whoever handed them over says so after the commit; to look first would cost those who
   * wait a round trip, behind all others that look at the same limit. That slots are taken away later is heard of
   * as of all that are held.
   */
  granted(claimId: string): void {
    if (this.waiting.has(claimId)) this.settle(claimId, 'granted');
    else this.remember(claimId);
  }

  private settle(claimId: string, end: LineEnd): void {
    this.waiting.get(claimId)?.settle(end);
    this.leave(claimId);
  }

  /** Has one claim looked at in a round right away. */
  private lookNow(claimId: string): void {
    const waiter = this.waiting.get(claimId);
    if (!waiter) return;
    waiter.lookAt = 0;
    this.loop.wake();
  }

  /** Whoever still waits is told that nothing comes any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.loop.stop();
    for (const claimId of [...this.waiting.keys()]) this.settle(claimId, 'stopped');
  }

  /** Whoever will wait for the claim is answered at once. */
  private remember(claimId: string): void {
    this.early.add(claimId);
    for (const oldest of this.early) {
      if (this.early.size <= MAX_EARLY) return;
      this.early.delete(oldest);
    }
  }

  /** Somebody may have said unheard that claims have their slots, or the clock has skipped time. */
  private lookAtAll(): void {
    for (const waiter of this.waiting.values()) waiter.lookAt = 0;
    if (this.waiting.size > 0) this.loop.wake();
  }

  /** Has one claim looked at when its turn comes: nobody says so where slots decay. */
  private lookIn(claimId: string, ms: number): void {
    const waiter = this.waiting.get(claimId);
    if (!waiter) return;
    const instant = addMs(this.clock.now(), Math.ceil(ms));
    void this.clock.waitUntil(instant, waiter.signal).then(() => this.lookNow(claimId));
  }

  /** Asks what has become of the claims that are to be looked at, and gives the pause until the next are. */
  private async round(): Promise<number> {
    const now = performance.now();
    const due = [...this.waiting].flatMap(([id, { lookAt }]) => (lookAt <= now ? [id] : []));
    if (due.length > 0) {
      for (const id of due) this.waiting.get(id)!.lookAt = now + LOOK_EVERY_MS; // a look that comes up meanwhile counts
      const polled = await this.transactions.single((tx) => this.claims.poll(tx, due, this.clock.leadUs));
      for (const { id, outcome, waitMs } of polled) {
        if (outcome !== 'waiting') {
          this.settle(id, outcome);
        } else if (waitMs !== null && waitMs < LOOK_EVERY_MS) this.lookIn(id, waitMs);
      }
    }
    let next = LOOK_EVERY_MS;
    for (const { lookAt } of this.waiting.values()) next = Math.min(next, lookAt - performance.now());
    return Math.max(0, next);
  }
}
