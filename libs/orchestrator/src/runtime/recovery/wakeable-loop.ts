import type { Logger } from '@nestjs/common';
import { isPassive } from '../passive-start.js';
import { withinMs } from '../engine/wait-until.js';

/** How long the last round may take to end. */
const LAST_ROUND_MS = 1_000;

/**
 * Does a round of work again and again: when it is woken, and otherwise after the pause that the round before asked for.
 * Never two rounds at a time; a wake-up during a round means another one right after it. A round that fails is logged and
 * followed by the next.
 */
export class WakeableLoop {
  private running: Promise<void> | null = null;
  private wokenMeanwhile = false;
  private timer: NodeJS.Timeout | null = null;
  private stopped = true;

  /**
   * @param round gives the pause in milliseconds until the next one.
   * @param afterFailureMs the pause after a round that failed.
   */
  constructor(
    private readonly name: string,
    private readonly logger: Logger,
    private readonly round: () => Promise<number>,
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
    if (this.running) {
      this.wokenMeanwhile = true;
      return;
    }
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.running = this.runOnce();
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
    let pauseMs = this.afterFailureMs;
    try {
      pauseMs = await this.round();
    } catch (error) {
      this.logger.warn(`${this.name} failed and is tried again: ${String(error)}`);
    }
    this.running = null;
    if (this.stopped) return;
    if (this.wokenMeanwhile) {
      this.wokenMeanwhile = false;
      this.wake();
      return;
    }
    this.timer = setTimeout(() => this.wake(), pauseMs);
    this.timer.unref();
  }
}
