import { DatabaseClock, msBetween, type Instant } from '@nestor/orchestrator';
import { Injectable } from '@nestjs/common';

/** Somebody who waits for a time. */
interface Alarm {
  readonly at: Instant;
  /** That of the attempt that waits; `null` for a timeout, which nobody waits for. */
  readonly waiter: AbortSignal | null;
  readonly ring: () => void;
  stopTimer: () => void;
}

/** The database's time, and what a test has skipped on top: it goes on by itself, and what waits for it may be due at once. */
@Injectable()
export class TestClock extends DatabaseClock {
  private skippedUs = 0;
  private readonly alarms = new Set<Alarm>();
  private readonly skipListeners: (() => void)[] = [];

  /** Told when somebody begins to wait. */
  onWait: () => void = () => undefined;

  override get leadUs(): number {
    return this.skippedUs;
  }

  override now(): Instant {
    return (super.now() + this.skippedUs) as Instant;
  }

  override waitUntil(instant: Instant, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted || this.now() >= instant) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        signal?.removeEventListener('abort', done);
        callOff();
        resolve();
      };
      const callOff = this.set(instant, signal ?? NOBODY, done);
      signal?.addEventListener('abort', done);
      this.onWait();
    });
  }

  override callAfter(ms: number, callback: () => void): () => void {
    return this.set((this.now() + Math.round(ms * 1_000)) as Instant, null, callback);
  }

  override onSkip(listener: () => void): void {
    this.skipListeners.push(listener);
  }

  /** Whether somebody waits on behalf of an attempt with that signal. */
  hasWaiter(signal: AbortSignal): boolean {
    for (const { waiter } of this.alarms) if (waiter === signal) return true;
    return false;
  }

  /** When the next of those is due who wait in this process, or run out of time in it; `null` when there is none. */
  get nextAlarm(): Instant | null {
    return [...this.alarms].reduce<Instant | null>((next, { at }) => (next === null || at < next ? at : next), null);
  }

  /** Lets it be that instant, and whatever is due by then happen. */
  skipTo(instant: Instant): void {
    this.skippedUs += instant - this.now();
    const due = [...this.alarms].sort((one, other) => one.at - other.at);
    for (const alarm of due) this.check(alarm);
    for (const listener of this.skipListeners) listener();
  }

  private set(at: Instant, waiter: AbortSignal | null, callback: () => void): () => void {
    const callOff = (): void => {
      alarm.stopTimer();
      this.alarms.delete(alarm);
    };
    const ring = (): void => {
      callOff();
      callback();
    };
    const alarm: Alarm = { at, waiter, ring, stopTimer: () => undefined };
    this.alarms.add(alarm);
    this.check(alarm);
    return callOff;
  }

  /** Lets an alarm ring that is due, and starts the timer of one that is not. */
  private check(alarm: Alarm): void {
    if (!this.alarms.has(alarm)) return;
    alarm.stopTimer();
    const leftMs = msBetween(this.now(), alarm.at);
    if (leftMs <= 0) alarm.ring();
    else alarm.stopTimer = super.callAfter(Math.ceil(leftMs), () => this.check(alarm));
  }
}

/** Stands for whoever waits without saying so. */
const NOBODY = new AbortController().signal;
