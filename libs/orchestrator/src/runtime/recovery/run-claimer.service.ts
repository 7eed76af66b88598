import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { whenToldOf } from '../notifications/when-told.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { Lanes } from '../workers/lanes.service.js';
import { ClaimedRuns } from './claimed-runs.service.js';
import { LaneClaims } from './lane-claims.service.js';
import { NamedClaims } from './named-claims.service.js';
import { NextLook } from './next-look.js';

/** Without a wake-up, somebody may have let go of a run unnoticed for this long. */
const IDLE_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** What is due and was not to be had is in the hands of somebody who may let go of it. */
const CONTENDED_MS = 5;

/**
 * Claims runs that wait and that nobody executes: enqueued, taken over from a process that died, handed back, resumed, or tried
 * again. Only those of flows that are registered here, and of this application; and never more than this process is told to
 * execute at a time.
 *
 * A round takes the runs that it was told of by their ids, or looks for whatever is due: see {@link NamedClaims} and
 * {@link LaneClaims}. What it took is in the hands of {@link ClaimedRuns}.
 */
@Injectable()
export class RunClaimer implements OnApplicationBootstrap {
  private readonly logger = new Logger(RunClaimer.name);
  private readonly loop = new WakeableLoop('Claiming runs', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly rest: Rest = {
    everyMs: IDLE_MS,
    looks: () => this.inLanes.looks(this.lanes.claimant),
    onNothing: (nextInMs) => this.nextLook.isDueIn(Math.min(nextInMs, IDLE_MS)),
  };
  private readonly nextLook = new NextLook();
  private startedAt: number | null = null;
  private stopped = false;

  constructor(
    private readonly lanes: Lanes,
    private readonly byName: NamedClaims,
    private readonly inLanes: LaneClaims,
    private readonly claimed: ClaimedRuns,
    private readonly process: ProcessLease,
    private readonly abilities: ProcessAbilities,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
  ) {}

  onApplicationBootstrap(): void {
    this.lanes.open();
    if (this.abilities.flowIds.length === 0 || this.lanes.all.length === 0) return this.lookNoMore(); // nothing could be claimed here
    const wake = (): void => this.wake();
    this.claimed.onRoom = wake;
    this.process.listen(whenToldOf('due', (flowRunId) => this.takeNamed(flowRunId), wake));
    this.clock.onSkip(wake);
    this.startedAt = performance.now();
    this.loops.start('claimer', this.loop);
  }

  /** Looks for runs right away. */
  wake(): void {
    this.nextLook.askFor();
    this.loop.wake();
  }

  /** Takes a run right away that has just been created, in no queue; looks for no others before they are due. */
  takeNamed(flowRunId: string): void {
    if (!this.lanes.free) return; // it is for others
    this.byName.add(flowRunId);
    this.loop.wake();
  }

  /** How long ago it looked for runs, in milliseconds; `null` when it does not, because nothing could be executed here. */
  get lookedMsAgo(): number | null {
    if (this.startedAt === null || this.stopped || this.claimed.once?.isDone) return null;
    return performance.now() - (this.loop.lookedAt ?? this.startedAt);
  }

  /** Of a worker that looks once: resolves with what it took, once nothing of that is executed here any more. Else `null`. */
  get singleLook(): Promise<readonly string[]> | null {
    return this.claimed.once?.over ?? null;
  }

  /** How many runs that waited are executed here. */
  get size(): number {
    return this.claimed.size;
  }

  /** Whether runs are being taken that the engine does not know of yet. */
  get isTaking(): boolean {
    return this.claimed.mayHaveStrays;
  }

  /**
   * Milliseconds until the next run is due that waits in a pool, and for which there is room here; `null` when none waits.
   *
   * @param askedForOnly leaves out what schedules have made.
   */
  async nextQueuedInMs(askedForOnly: boolean): Promise<number | null> {
    return this.claimed.once?.isDone ? null : this.inLanes.nextQueuedInMs(this.lanes.claimant, askedForOnly);
  }

  /** Claims nothing more, and lets go of what has not begun; resolves when what was claimed is on its way. Never rejects. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.claimed.beginNoMore();
    await this.loop.stop();
    await this.claimed.handBack();
    this.lookNoMore();
  }

  private async round(): Promise<NextRound> {
    const { claimed, nextLook } = this;
    if (claimed.once?.isDone) return IDLE_MS;
    const { claimant } = this.lanes;
    if (claimed.mayHaveStrays) await claimed.releaseStrays(claimant.processId);
    const named = nextLook.isDue ? null : this.byName.next();
    this.byName.forget(); // a look finds them as well
    nextLook.begin();
    if (named) await this.byName.take(named, claimant);
    else if (await this.inLanes.take(claimant)) return 0;
    if (claimed.once) {
      this.lookNoMore();
      return IDLE_MS;
    }
    const pauseMs = Math.max(CONTENDED_MS, Math.min(IDLE_MS, await this.inLanes.nextDueInMs(claimant)));
    nextLook.isDueIn(pauseMs);
    return { pauseMs, rest: this.rest };
  }

  private lookNoMore(): void {
    const { once, size } = this.claimed;
    if (!once) return;
    once.isDone = true;
    once.settle(size);
  }
}
