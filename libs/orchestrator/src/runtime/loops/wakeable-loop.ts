import type { Logger } from '@nestjs/common';
import type { Look } from '../../records/looks/look.js';
import { isPassive } from '../passive-start.js';
import { withinMs } from '../engine/wait-until.js';

/** How long the last round may take to end. */
const LAST_ROUND_MS = 1_000;
/** However long looks find nothing, there is a round after that. */
const ROUND_AFTER_MS = 300_000;

/** The pause until the next round, in milliseconds. */
export type NextRound =
  | number
  | {
      readonly pauseMs: number;
      /** Since how many milliseconds the work has been due that the round has left undone; default: 0. */
      readonly overdueMs?: number;
      /** Where others may look in its place whether a round is needed; default: nobody does. */
      readonly rest?: Rest;
    };

/** What is asked in the place of rounds, together with what other loops ask: see `SharedLooks`. */
export interface Rest {
  /** The pause that begins anew when nothing is found. */
  readonly everyMs: number;
  /** Together they find whatever a round would deal with. */
  readonly looks: () => readonly Look[];
  /** Told whenever they find nothing: in how many milliseconds they would, `Infinity` where that is not known. */
  readonly onNothing?: (nextInMs: number) => void;
}

/** A round of a loop that is over. */
interface LoopRound {
  /** When it began, in the time of `performance.now()`. */
  readonly beganAt: number;
  readonly durationMs: number;
  /** How late it was over: since when it had been due. */
  readonly lagMs: number;
  /** What it failed with; `null` when it did not. */
  readonly error: string | null;
}

/**
 * Does a round of work again and again: when it is woken, and otherwise after the pause that the round before asked for.
 * Never two rounds at a time; a wake-up during a round means another one right after it. A round that fails is logged and
 * followed by the next. It knows how late it is: from when a round is due to when one has succeeded.
 */
export class WakeableLoop {
  /** The latest round, or look in its place; `null` before the first one is over. */
  lastRound: LoopRound | null = null;
  /** When it last had nothing left to do, as far as it knew, in the time of `performance.now()`; `null` before that. */
  lookedAt: number | null = null;
  /** Called after every round, but for the one after which it has stopped. */
  onRound: () => void = () => undefined;
  private running: Promise<void> | null = null;
  private wokenMeanwhileAt: number | null = null;
  private timer: NodeJS.Timeout | null = null;
  private stopped = true;
  /** When the next round is due, or was: it stays so until one has succeeded. */
  private dueAt = Infinity;
  /** What may be asked in the place of the next round. */
  private rest: Rest | null = null;
  private roundAt = -Infinity;

  /**
   * @param round gives the pause in milliseconds until the next one.
   * @param afterFailureMs the pause after a round that failed.
   */
  constructor(
    readonly name: string,
    private readonly logger: Logger,
    private readonly round: () => Promise<NextRound>,
    private readonly afterFailureMs: number,
  ) {}

  /**
   * Not in an application that is only looked into.
   *
   * @param afterMs when its first round begins, unless it is woken before.
   */
  start(afterMs = 0): void {
    if (isPassive()) return;
    this.stopped = false;
    if (afterMs === 0) return this.wake();
    this.dueAt = performance.now() + afterMs;
    this.pause(afterMs);
  }

  wake(): void {
    if (this.stopped) return;
    const now = performance.now();
    if (this.running) {
      this.wokenMeanwhileAt ??= now;
      return;
    }
    this.dueAt = Math.min(this.dueAt, now);
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.running = this.runOnce();
  }

  /** What is to be asked in the place of its next round, if that is due within so many milliseconds; `null` where nothing is. */
  restsAndIsDueWithin(ms: number): Rest | null {
    const now = performance.now();
    const needsRound = this.stopped || this.running !== null || now >= this.roundAt + ROUND_AFTER_MS;
    return needsRound || this.dueAt > now + ms ? null : this.rest;
  }

  /**
   * Takes a look that has found nothing, while the loop rested, for a round.
   *
   * @param beganAt when the look began, in the time of `performance.now()`.
   * @param nextInMs in how many milliseconds there is something to do; `Infinity` where there is nothing.
   */
  restOn(rest: Rest, beganAt: number, nextInMs: number): void {
    const now = performance.now();
    const pauseMs = Math.min(rest.everyMs, Math.ceil(nextInMs));
    this.lastRound = { beganAt, durationMs: now - beganAt, lagMs: 0, error: null };
    this.lookedAt = now;
    this.dueAt = now + pauseMs;
    rest.onNothing?.(nextInMs);
    this.onRound();
    this.pause(pauseMs);
  }

  /** For how many milliseconds what it is to do has been due; 0 while nothing is, and once it has stopped. */
  get lagMs(): number {
    return this.stopped ? 0 : Math.max(0, performance.now() - this.dueAt);
  }

  /**
   * Begins no further round, and resolves when the one that is under way has ended; not much later in any case, because a
   * server that lost its network never answers.
   */
  async stop(): Promise<void> {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.running) await withinMs(this.running, LAST_ROUND_MS);
  }

  private async runOnce(): Promise<void> {
    const beganAt = performance.now();
    this.rest = null;
    let next: NextRound | null = null;
    let failure: string | null = null;
    try {
      next = await this.round();
    } catch (error) {
      failure = String(error);
      this.logger.warn(`${this.name} failed${this.stopped ? '' : ' and is tried again'}: ${failure}`);
    }
    this.running = null;
    const now = performance.now();
    const pauseMs = next === null ? this.afterFailureMs : typeof next === 'number' ? next : next.pauseMs;
    this.lastRound = { beganAt, durationMs: now - beganAt, lagMs: Math.max(0, now - this.dueAt), error: failure };
    if (next !== null) {
      const { overdueMs = 0, rest = null } = typeof next === 'number' ? {} : next;
      [this.rest, this.roundAt, this.lookedAt] = [rest, beganAt, now];
      this.dueAt = overdueMs > 0 ? now - overdueMs : (this.wokenMeanwhileAt ?? now + pauseMs);
    }
    if (this.stopped) return; // and is late with nothing: nobody is to take that for having caught up
    this.onRound();
    if (this.wokenMeanwhileAt !== null) {
      this.wokenMeanwhileAt = null;
      this.wake();
      return;
    }
    this.pause(pauseMs);
  }

  private pause(ms: number): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.wake(), ms);
    this.timer.unref();
  }
}
