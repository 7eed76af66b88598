import { addMicros, instantOfMicros, instantOfMs, msBetween, type Instant } from '@nestor/core';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import { DataSource } from 'typeorm';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { callAfter, timerUntil } from '../engine/wait-until.js';

/** Clocks of two machines drift apart by some milliseconds a minute at worst. */
const MEASURE_AFTER_MS = 60_000;

/** The first one on a connection is slow; the best of three is within a fraction of a millisecond on a local network. */
const READINGS = 3;

/** A wall clock that was set tells itself apart from ordinary drift by more than this. */
const JUMP_MS = 50;

/**
 * The database's time without asking the database each time.
 *
 * State times, due times and leases are database time, so that nodes whose clocks differ agree on what came first. The
 * offset between our monotonic clock and the server's is measured at the start and, while somebody asks for the time,
 * every minute; of a few readings the one with the shortest round trip is the most exact. An idle process asks nothing.
 * A jump of our own wall clock (the machine slept, which stops the monotonic clock) is followed until the next reading.
 *
 * Whatever waits for a time that runs know of (a retry, a sleep, a timeout) waits here: `nestor/testing` puts a clock in this
 * one's place that skips time. Leases and heartbeats are no such times; they are the database's own.
 */
@Injectable()
export class DatabaseClock implements OnModuleInit {
  private offsetUs = 0;
  private wallLeadMs = wallLeadMs();
  private measuredAt = localNow();
  private readonly logger = new Logger(DatabaseClock.name);

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {}

  async onModuleInit(): Promise<void> {
    await this.measure();
  }

  /** Database time now, estimated. */
  now(): Instant {
    if (msBetween(this.measuredAt, localNow()) > MEASURE_AFTER_MS) this.measureInPassing();
    const jumpMs = wallLeadMs() - this.wallLeadMs;
    const jumpUs = Math.abs(jumpMs) > JUMP_MS ? Math.round(jumpMs * 1_000) : 0;
    return addMicros(localNow(), this.offsetUs + jumpUs);
  }

  /** How many microseconds the clock is ahead of the database's own: for statements that compare with that. 0 but in tests. */
  get leadUs(): number {
    return 0;
  }

  /**
   * Resolves at an instant, or as soon as `signal` fires; the caller looks which it was.
   *
   * @param signal that of the attempt that waits: by it a clock that skips time knows who waits.
   */
  waitUntil(instant: Instant, signal?: AbortSignal): Promise<void> {
    return timerUntil(instant, () => this.now(), signal);
  }

  /**
   * Calls `callback` once, `ms` from now, however long that is.
   *
   * @returns a function that calls it off.
   */
  callAfter(ms: number, callback: () => void): () => void {
    return callAfter(ms, callback);
  }

  /** Calls `listener` whenever time was skipped: what waits in the database may be due. This clock skips none. */
  onSkip(_listener: () => void): void {}

  private measureInPassing(): void {
    this.measuredAt = localNow(); // once, also when it fails: the next minute brings the next chance
    this.measure().catch((error: unknown) => {
      this.logger.debug(`The database's clock could not be read; the last reading is used on. ${String(error)}`);
    });
  }

  /** Reads the server's clock a few times and keeps the most exact reading. */
  private async measure(): Promise<void> {
    let best = { roundTripMs: Infinity, offsetUs: this.offsetUs };
    for (let reading = 0; reading < READINGS; reading += 1) {
      const before = localNow();
      const rows = await this.dataSource.query<{ now: Instant }[]>('select clock_timestamp() as now');
      const after = localNow();
      const roundTripMs = msBetween(before, after);
      const serverNow = rows[0]?.now;
      if (serverNow !== undefined && roundTripMs < best.roundTripMs) {
        best = { roundTripMs, offsetUs: serverNow - Math.round((before + after) / 2) };
      }
    }
    this.offsetUs = best.offsetUs;
    this.wallLeadMs = wallLeadMs();
    this.measuredAt = localNow();
  }
}

function localNow(): Instant {
  return instantOfMicros((performance.timeOrigin + performance.now()) * 1_000);
}

/** How far the wall clock is ahead of the monotonic one; constant unless somebody sets it or the machine sleeps. */
function wallLeadMs(): number {
  return msBetween(localNow(), instantOfMs(Date.now()));
}
