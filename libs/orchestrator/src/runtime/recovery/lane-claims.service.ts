import { Injectable } from '@nestjs/common';
import type { Look } from '../../records/looks/look.js';
import { PoolLane, type Claimant, type Lane } from '../workers/lane.js';
import { Lanes } from '../workers/lanes.service.js';
import { ClaimedRuns } from './claimed-runs.service.js';

/** How many runs are claimed at a time: beyond that the cost of a run is flat, and others want some too. */
const CLAIM_BATCH = 100;

/** Takes whatever is due in the lanes of this process, as far as it has room. */
@Injectable()
export class LaneClaims {
  constructor(
    private readonly lanes: Lanes,
    private readonly claimed: ClaimedRuns,
  ) {}

  /** Takes some from each lane, and tells whether there may be more. */
  async take(claimant: Claimant): Promise<boolean> {
    const { claimed, lanes } = this;
    claimed.isRoomWanted = false;
    if (claimed.once) for (const lane of lanes.all) await lane.nextDueInMs(claimant); // tells whether runs are taken in turn
    let isMore = false;
    for (const lane of lanes.all) {
      const limit = Math.min(CLAIM_BATCH, claimed.roomIn(lane));
      if (limit <= 0) {
        claimed.isRoomWanted = true;
        continue;
      }
      const taken = await claimed.take(() => lane.claim(claimant, limit), lane, claimant.processId);
      if (taken === limit) isMore = true;
    }
    lanes.rotate();
    return isMore;
  }

  /** Milliseconds until the next run may be due in a lane that has room; `Infinity` when none waits. */
  async nextDueInMs(claimant: Claimant): Promise<number> {
    let nextMs = Infinity;
    for (const lane of this.lanes.all) {
      if (this.hasRoom(lane)) nextMs = Math.min(nextMs, (await lane.nextDueInMs(claimant)) ?? Infinity);
    }
    return nextMs;
  }

  /** {@link nextDueInMs} as {@link Look}s. */
  looks(claimant: Claimant): Look[] {
    return this.lanes.all.filter((lane) => this.hasRoom(lane)).map((lane) => lane.look(claimant));
  }

  /** {@link nextDueInMs} of the lanes of pools alone; see `RunClaimer.nextQueuedInMs`. */
  async nextQueuedInMs(claimant: Claimant, askedForOnly: boolean): Promise<number | null> {
    const open = this.lanes.all.filter((lane) => lane instanceof PoolLane).filter((lane) => this.hasRoom(lane));
    const times = await Promise.all(open.map((lane) => lane.dueInMs(claimant, askedForOnly)));
    const known = times.filter((ms) => ms !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  private hasRoom(lane: Lane): boolean {
    return this.claimed.roomIn(lane) > 0;
  }
}
