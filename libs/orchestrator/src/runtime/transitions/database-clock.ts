import { addMicros, instantOfMicros, instantOfMs, msBetween, type Instant } from '@nestor/core';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import { DataSource } from 'typeorm';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';

/** A wall clock that was set tells itself apart from ordinary drift by more than this. */
const JUMP_MS = 50;

/**
 * The database's time without asking the database each time.
 *
 * State times, due times and leases are database time, so that nodes whose clocks differ agree on what came first. The
 * offset between our monotonic clock and the server's is measured at the start and again whenever somebody brings a
 * fresh reading; the reading that took the shortest round trip is the most exact one. A jump of our own wall clock (the
 * machine slept, which stops the monotonic clock) is followed until the next reading.
 */
@Injectable()
export class DatabaseClock implements OnModuleInit {
  private offsetUs = 0;
  private wallLeadMs = wallLeadMs();

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {}

  async onModuleInit(): Promise<void> {
    await this.measure();
  }

  /** Database time now, estimated. */
  now(): Instant {
    const jumpMs = wallLeadMs() - this.wallLeadMs;
    const jumpUs = Math.abs(jumpMs) > JUMP_MS ? Math.round(jumpMs * 1_000) : 0;
    return addMicros(localNow(), this.offsetUs + jumpUs);
  }

  /** Reads the server's clock a few times and keeps the most exact reading. */
  async measure(): Promise<void> {
    let best = Infinity;
    for (let reading = 0; reading < 3; reading += 1) {
      const before = localNow();
      const rows = await this.dataSource.query<{ now: Instant }[]>('select clock_timestamp() as now');
      const after = localNow();
      const roundTripMs = msBetween(before, after);
      if (rows[0] && roundTripMs < best) {
        best = roundTripMs;
        this.offsetUs = rows[0].now - Math.round((before + after) / 2);
        this.wallLeadMs = wallLeadMs();
      }
    }
  }
}

function localNow(): Instant {
  return instantOfMicros((performance.timeOrigin + performance.now()) * 1_000);
}

/** How far the wall clock is ahead of the monotonic one; constant unless somebody sets it or the machine sleeps. */
function wallLeadMs(): number {
  return msBetween(localNow(), instantOfMs(Date.now()));
}
