import {
  dateOfInstant,
  durationMs,
  instantOfMs,
  type Duration,
  type Instant,
  type WaitingRuns,
} from '@nestor/orchestrator';
import type { TestClock } from './test-clock.js';

/**
 * How long runs may take, in real time, until they only wait again. One that does something else for
 * longer is not waited for.
 */
const SETTLES_WITHIN_MS = 1_000;

/** Real time between two looks whether all runs only wait. */
const FIRST_LOOK_MS = 1;
const LAST_LOOK_MS = 50;

/**
 * The time that runs live by: `currentRun().now()`, times of states, retry delays, sleeps, timeouts of flows, tasks and pauses.
 * It goes on by itself, a second each second, and a test may skip as much of it as it likes. Leases, heartbeats and timeouts of
 * those who wait for a run (`result({ timeout })`) keep real time.
 */
export class TestingClock {
  private watching: Promise<void> | null = null;
  private stopped = false;
  private wake = (): void => undefined;

  /** @internal */
  constructor(
    private readonly clock: TestClock,
    private readonly runs: WaitingRuns,
  ) {}

  /** The time. */
  now(): Date {
    return dateOfInstant(this.clock.now());
  }

  /**
   * Skips time. Whatever becomes due on the way happens in order, each at its time: a flow that sleeps for a day thirty times
   * wakes up thirty times in `advance('30d')`. In between runs get as much real time as they need until they only wait, at most
   * a second where one does something else.
   *
   * @returns when what became due has happened.
   * @throws {InvalidDurationError}
   */
  async advance(duration: Duration): Promise<void> {
    await this.advanceTo(
      (this.clock.now() + Math.round(durationMs(duration, 'duration to advance') * 1_000)) as Instant,
    );
  }

  /**
   * Lets it be that time: as {@link advance} does, or, where that is past, by setting the clock back. What waits then waits for
   * longer; states of one run are still in order.
   */
  async set(time: Date | string): Promise<void> {
    const instant = instantOfMs(new Date(time).getTime());
    if (instant >= this.clock.now()) return this.advanceTo(instant);
    this.clock.skipTo(instant);
  }

  /** Skips to whatever is due next, from now on, whenever all runs only wait. @internal */
  watch(): void {
    this.watching = this.skipAgainAndAgain();
  }

  /** @internal */
  async stop(): Promise<void> {
    this.stopped = true;
    this.wake();
    await this.watching;
  }

  private async advanceTo(target: Instant): Promise<void> {
    for (;;) {
      await this.settle();
      const due = await this.nextDue();
      if (due === null || due > target) break;
      this.clock.skipTo(later(due, this.clock.now()));
    }
    this.clock.skipTo(later(target, this.clock.now()));
    await this.settle();
  }

  /** Resolves when all runs only wait, for something that is not due; otherwise in a while. */
  private async settle(): Promise<void> {
    const deadline = performance.now() + SETTLES_WITHIN_MS;
    while (performance.now() < deadline) {
      if (await this.onlyWait()) {
        const due = await this.nextDue();
        if ((due === null || due > this.clock.now()) && (await this.onlyWait())) return;
      }
      await pause(FIRST_LOOK_MS);
    }
  }

  private async skipAgainAndAgain(): Promise<void> {
    let lookMs = FIRST_LOOK_MS;
    this.clock.onWait = () => this.wake();
    while (!this.stopped) {
      const hasSkipped = await this.skipToNext().catch(() => false); // the database is away: then later
      lookMs = hasSkipped ? FIRST_LOOK_MS : Math.min(lookMs * 2, LAST_LOOK_MS);
      let isWoken = false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, lookMs);
        this.wake = () => {
          isWoken = true;
          clearTimeout(timer);
          resolve();
        };
      });
      if (isWoken) lookMs = FIRST_LOOK_MS;
    }
  }

  private async skipToNext(): Promise<boolean> {
    // Who is paused waits for somebody, and that would be late after a skip.
    if (!(await this.onlyWait())) return false;
    const [due, areSomePaused] = await Promise.all([this.nextAskedFor(), this.runs.areSomePaused()]);
    if (areSomePaused || due === null || due <= this.clock.now() || !(await this.onlyWait())) return false;
    this.clock.skipTo(later(due, this.clock.now()));
    return true;
  }

  private onlyWait(): Promise<boolean> {
    return this.runs.onlyWait((signal) => this.clock.hasWaiter(signal));
  }

  private async nextDue(): Promise<Instant | null> {
    return earlier(this.clock.nextAlarm, await this.runs.nextDue());
  }

  private async nextAskedFor(): Promise<Instant | null> {
    return earlier(this.clock.nextAlarm, await this.runs.nextAskedFor());
  }
}

function earlier(one: Instant | null, other: Instant | null): Instant | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}

function later(one: Instant, other: Instant): Instant {
  return one > other ? one : other;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
