import { AsyncResource } from 'node:async_hooks';
import { msBetween } from '@nestor/core';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import {
  FlowRunClaimsRepository,
  type ClaimedFlowRun,
  type HeldFlowRun,
} from '../../records/flow-runs/flow-run-claims.repository.js';
import { RunSlots } from '../concurrency/run-slots.service.js';
import { ActiveFlowRuns } from '../engine/active-flow-runs.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Notifier } from '../notifications/notifier.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { Lane } from '../workers/lane.js';
import { WORKER_SETTINGS, type WorkerSettings } from '../workers/worker-settings.js';
import { SingleLook } from './single-look.js';

/** The runs that this process has claimed, until it lets go of them, and how many more there is room for. */
@Injectable()
export class ClaimedRuns {
  /** Of a worker that looks once. */
  readonly once: SingleLook | null;
  /** Called once runs have ended, where somebody waits for that. */
  onRoom: () => void = () => undefined;
  /** Some may wait that are claimed as soon as there is room. */
  isRoomWanted = false;
  /** A claim is under way, or has failed: it may have claimed runs that nobody here knows of. */
  mayHaveStrays = false;
  private readonly logger = new Logger(ClaimedRuns.name);
  private readonly held = new Map<string, Held>();
  private beginsNoMore = false;
  private isTellingOfRoom = false;

  constructor(
    private readonly activeRuns: ActiveFlowRuns,
    private readonly claims: FlowRunClaimsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
    private readonly notifier: Notifier,
    private readonly slots: RunSlots,
    @Inject(WORKER_SETTINGS) private readonly worker: WorkerSettings | null,
  ) {
    this.once = worker?.runOnce ? new SingleLook() : null;
  }

  get size(): number {
    return this.held.size;
  }

  has(flowRunId: string): boolean {
    return this.held.has(flowRunId);
  }

  /** How many more may be taken, from wherever. */
  get room(): number {
    return (this.worker?.limit ?? 0) - (this.once?.size ?? this.held.size);
  }

  /** How many more may be taken from a lane. */
  roomIn(lane: Lane): number {
    return Math.min(lane.room, this.room);
  }

  /** Has executed what was claimed from a lane, under the id `processId` of this process; gives how many runs that were. */
  async take(claim: () => Promise<readonly ClaimedFlowRun[]>, lane: Lane, processId: string): Promise<number> {
    this.mayHaveStrays = true;
    const claimed = await claim();
    await this.hold(claimed, lane, processId);
    this.mayHaveStrays = false;
    return claimed.length;
  }

  /** Lets go of runs that were claimed by a statement whose answer got lost: whoever looks next takes them. */
  async releaseStrays(processId: string): Promise<void> {
    const claimed = await this.claims.claimedBy(processId);
    const strays = claimed.filter((one) => !this.isInHand(one));
    if (strays.length > 0) await this.transactions.single((tx) => this.claims.release(tx, processId, strays));
  }

  /** What is claimed from now on is let go of. */
  beginNoMore(): void {
    this.beginsNoMore = true;
  }

  /** Lets go of what waits for its time. Never rejects. */
  async handBack(): Promise<void> {
    const waiting = [...this.held.values()].filter(({ callOff }) => callOff !== null);
    for (const one of waiting) this.letGo(one);
    await this.release(waiting.map(({ claimed }) => claimed));
  }

  /** Whether it is known here under that very claim: what is left of an earlier one does not count. */
  private isInHand({ id, leaseEpoch }: HeldFlowRun): boolean {
    const epochs = [this.held.get(id)?.claimed.leaseEpoch, this.activeRuns.find(id)?.live.lease.epoch];
    return epochs.includes(leaseEpoch);
  }

  /** Has runs executed that were claimed under that id; those that are early once they are due. */
  private async hold(claimed: readonly ClaimedFlowRun[], lane: Lane, processId: string): Promise<void> {
    // Under another id by now, this process has none of them any more; and one that stops begins nothing.
    if (processId !== this.process.processId) return;
    if (this.beginsNoMore) return this.release(claimed);
    const without = await this.withoutSlots(claimed);
    const now = this.clock.now();
    for (const run of claimed) {
      if (without.has(run.created.id)) continue;
      const one: Held = { claimed: run, lane, processId, callOff: null };
      const lost = this.held.get(run.created.id); // taken from this process, which has not noticed yet, and taken anew by it
      if (lost) this.letGo(lost);
      this.held.set(run.created.id, one);
      this.once?.take(run.created.id);
      lane.size += 1;
      const earlyMs = msBetween(now, run.state.details.scheduledTime ?? now);
      if (earlyMs <= 0) this.begin(one, true);
      else
        one.callOff = this.clock.callAfter(
          earlyMs,
          AsyncResource.bind(() => this.begin(one, false)),
        );
    }
  }

  /** Those that are not to begin, because their deployments have no slots for them. */
  private async withoutSlots(claimed: readonly ClaimedFlowRun[]): Promise<ReadonlySet<string>> {
    const ofDeployments = claimed.flatMap(({ created: { id }, run: { deploymentId } }) =>
      deploymentId == null ? [] : [{ id, deploymentId }],
    );
    return ofDeployments.length === 0 ? NONE : this.slots.secure(ofDeployments);
  }

  private begin(one: Held, isFresh: boolean): void {
    one.callOff = null;
    if (one.processId !== this.process.processId) return this.letGo(one); // somebody else has it by now
    void one.lane.execute(one.claimed, isFresh).then(() => {
      this.letGo(one);
      if (one.claimed.isLimited) this.notifier.notify('due'); // others may wait for the room it had
      if (this.isRoomWanted) this.tellOfRoom();
    });
  }

  private letGo(one: Held): void {
    one.callOff?.();
    const { id } = one.claimed.created;
    if (this.held.get(id) !== one) return;
    this.held.delete(id);
    if (!this.once) one.lane.size -= 1;
    this.once?.settle(this.held.size);
  }

  /** Once all that ended in this turn of the event loop have been let go of: they end by the batch. */
  private tellOfRoom(): void {
    if (this.isTellingOfRoom) return;
    this.isTellingOfRoom = true;
    setImmediate(() => {
      this.isTellingOfRoom = false;
      this.onRoom();
    });
  }

  /** Never rejects: a database that is away finds out that this process is gone. */
  private async release(claimed: readonly ClaimedFlowRun[]): Promise<void> {
    if (claimed.length === 0) return;
    const { processId } = this.process;
    const held = claimed.map(({ created, leaseEpoch }) => ({ id: created.id, leaseEpoch }));
    try {
      await this.transactions.single((tx) => this.claims.release(tx, processId, held));
      this.notifier.notify('due');
    } catch (error) {
      this.logger.warn(`${held.length} runs that had not begun could not be handed back: ${String(error)}`);
    }
  }
}

const NONE: ReadonlySet<string> = new Set();

/** A run that was claimed here. */
interface Held {
  readonly claimed: ClaimedFlowRun;
  readonly lane: Lane;
  /** The id under which it was claimed. */
  readonly processId: string;
  /** Of a run that waits for its time: calls off that it begins then. */
  callOff: (() => void) | null;
}
