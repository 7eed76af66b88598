import type { Logger } from '@nestjs/common';
import { isPassive } from '../passive-start.js';
import { withinMs } from '../engine/wait-until.js';

/** How long the last round may take to end. */
const LAST_ROUND_MS = 1_000;

/** The pause until the next round, in milliseconds. */
type NextRound =
  | number
  | {
      readonly pauseMs: number;
      /** Since how many milliseconds the work has been due that the round has left undone. */
      readonly overdueMs: number;
    };

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
  /** The latest round; `null` before the first one is over. */
  lastRound: LoopRound | null = null;
  /** Called after every round, but for the one after which it has stopped. */
  onRound: () => void = () => undefined;
  private running: Promise<void> | null = null;
  private wokenMeanwhileAt: number | null = null;
  private timer: NodeJS.Timeout | null = null;
  private stopped = true;
  /** When the next round is due, or was: it stays so until one has succeeded. */
  private dueAt = Infinity;

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

  /** Not in an application that is only looked into. */
  start(): void {
    if (isPassive()) return;
    this.stopped = false;
    this.wake();
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
      const overdueMs = typeof next === 'number' ? 0 : next.overdueMs;
      this.dueAt = overdueMs > 0 ? now - overdueMs : (this.wokenMeanwhileAt ?? now + pauseMs);
    }
    if (this.stopped) return; // and is late with nothing: nobody is to take that for having caught up
    this.onRound();
    if (this.wokenMeanwhileAt !== null) {
      this.wokenMeanwhileAt = null;
      this.wake();
      return;
    }
    this.timer = setTimeout(() => this.wake(), pauseMs);
    this.timer.unref();
  }
}
