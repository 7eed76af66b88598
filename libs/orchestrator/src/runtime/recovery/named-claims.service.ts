import { Injectable } from '@nestjs/common';
import type { Claimant, FreeLane } from '../workers/lane.js';
import { Lanes } from '../workers/lanes.service.js';
import { ClaimedRuns } from './claimed-runs.service.js';

/** More that are told of by their ids than this are taken at a look. */
const MOST_NAMED = 3;

/** Runs that are taken by their ids, whatever else waits. */
interface NamedRuns {
  readonly ids: readonly string[];
  readonly lane: FreeLane;
}

/**
 * Takes runs by their ids that have just been created, in no queue, and that somebody has told of: that costs less than a look
 * for whatever is due, and does not wait for one.
 */
@Injectable()
export class NamedClaims {
  private readonly toldOf = new Set<string>();

  constructor(
    private readonly lanes: Lanes,
    private readonly claimed: ClaimedRuns,
  ) {}

  /** Somebody has told of that run. */
  add(flowRunId: string): void {
    this.toldOf.add(flowRunId);
  }

  /** Those that somebody has told of, if they can be taken by their ids; `null` where that is for a look, or there are none. */
  next(): NamedRuns | null {
    const lane = this.lanes.free;
    if (!lane || lane.takesInTurn || this.toldOf.size === 0) return null;
    const ids = [...this.toldOf].filter((id) => !this.claimed.has(id));
    return ids.length <= Math.min(MOST_NAMED, this.claimed.roomIn(lane)) ? { ids, lane } : null;
  }

  /** They are being taken, or looked for. */
  forget(): void {
    this.toldOf.clear();
  }

  async take({ ids, lane }: NamedRuns, claimant: Claimant): Promise<void> {
    for (const id of ids) {
      await this.claimed.take(() => lane.claimNamed(claimant, id), lane, claimant.processId);
    }
    this.claimed.isRoomWanted = this.claimed.roomIn(lane) <= 0; // then nobody has looked whether there are others
  }
}
