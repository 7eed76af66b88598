import type { Attempt } from '../engine/attempt.js';
import type { callAfter } from '../engine/wait-until.js';

/** Until when somebody waits: until the time is up, or the attempt around is over. */
export class WaitDeadline {
  private readonly controller = new AbortController();
  private readonly stopTimer: (() => void) | null;
  private readonly onEnd = (): void => this.pass();

  /** @param timeoutMs `null`: as long as it takes. */
  constructor(
    timeoutMs: number | null,
    private readonly attempt: Attempt | null,
    private readonly startTimer: typeof callAfter,
  ) {
    this.stopTimer = timeoutMs === null ? null : startTimer(timeoutMs, this.onEnd);
    if (attempt?.ended) this.pass();
    else attempt?.signal.addEventListener('abort', this.onEnd);
  }

  get isPassed(): boolean {
    return this.controller.signal.aborted;
  }

  /** Resolves when `work` has settled or the deadline has passed; the caller looks which it was. */
  async within<T>(work: Promise<T>): Promise<T | undefined> {
    const { signal } = this.controller;
    if (signal.aborted) return undefined;
    let tell = (): void => undefined;
    const passed = new Promise<undefined>((resolve) => (tell = () => resolve(undefined)));
    signal.addEventListener('abort', tell);
    try {
      return await Promise.race([work, passed]);
    } finally {
      signal.removeEventListener('abort', tell);
    }
  }

  /** Waits that long, or until the deadline. */
  async pause(ms: number): Promise<void> {
    let stopTimer = (): void => undefined;
    await this.within(new Promise<void>((resolve) => (stopTimer = this.startTimer(ms, resolve))));
    stopTimer();
  }

  /** Stops the clock. */
  end(): void {
    this.stopTimer?.();
    this.attempt?.signal.removeEventListener('abort', this.onEnd);
  }

  private pass(): void {
    this.controller.abort();
  }
}
