import { AsyncResource } from 'node:async_hooks';
import { msBetween } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunClaimsRepository, type ClaimedFlowRun } from '../../records/flow-runs/flow-run-claims.repository.js';
import { RunSlots } from '../concurrency/run-slots.service.js';
import { ActiveFlowRuns } from '../engine/active-flow-runs.js';
import { OrchestratorEngine } from '../engine/orchestrator-engine.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { Notifier } from '../notifications/notifier.service.js';
import { whenToldOf } from '../notifications/when-told.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { BaseWorker } from '../workers/base-worker.js';
import { InfrastructureRuns } from '../workers/infrastructure-runs.service.js';
import { FreeLane, PoolLane, type Claimant, type Lane } from '../workers/lane.js';
import { WORKER_SETTINGS, type WorkerSettings } from '../workers/worker-settings.js';
import { NEST_TYPE, WorkerTypes } from '../workers/worker-types.service.js';
import { SingleLook } from './single-look.js';

/** How many runs are claimed at a time: beyond that the cost of a run is flat, and others want some too. */
const CLAIM_BATCH = 100;

/** Without a wake-up, somebody may have let go of a run unnoticed for this long. */
const IDLE_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** More that are told of by their ids than this are taken at a look. */
const MOST_NAMED = 3;
/** What is due and was not to be had is in the hands of somebody who may let go of it. */
const CONTENDED_MS = 5;

/**
 * Claims runs that wait and that nobody executes: enqueued, taken over from a process that died, handed back, resumed, or tried
 * again. Only those of flows that are registered here, and of this application; and never more than this process is told to
 * execute at a time.
 */
@Injectable()
export class RunClaimer implements OnApplicationBootstrap {
  private readonly logger = new Logger(RunClaimer.name);
  private readonly loop = new WakeableLoop('Claiming runs', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly rest: Rest = {
    everyMs: IDLE_MS,
    looks: () => this.lanes.filter((lane) => this.hasRoom(lane)).map((lane) => lane.look(this.claimant)),
    onNothing: (nextInMs) => (this.looksAt = performance.now() + Math.min(nextInMs, IDLE_MS)),
  };
  private lanes: readonly Lane[] = [];
  /** Runs that have just been created, and that somebody has told of by their ids. */
  private readonly named = new Set<string>();
  /** Somebody has told of others, or may have. */
  private mustLook = true;
  /** When others may be due, in the time of `performance.now()`. */
  private looksAt = -Infinity;
  /** What was claimed and has not been let go of. */
  private readonly held = new Map<string, Held>();
  private stopped = false;
  /** The last round failed: it may have claimed runs without knowing. */
  private mayHaveStrays = false;
  /** There is more to claim as soon as there is room. */
  private isFull = false;
  private isLooking = false;
  private startedAt: number | null = null;
  private readonly once: SingleLook | null;

  constructor(
    private readonly engine: OrchestratorEngine,
    private readonly activeRuns: ActiveFlowRuns,
    private readonly claims: FlowRunClaimsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly abilities: ProcessAbilities,
    private readonly clock: DatabaseClock,
    private readonly notifier: Notifier,
    private readonly slots: RunSlots,
    private readonly types: WorkerTypes,
    private readonly infrastructure: InfrastructureRuns,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(WORKER_SETTINGS) private readonly worker: WorkerSettings | null,
  ) {
    this.once = worker?.runOnce ? new SingleLook() : null;
  }

  onApplicationBootstrap(): void {
    this.lanes = this.worker ? this.lanesOf(this.worker) : [];
    if (this.abilities.flowIds.length === 0 || this.lanes.length === 0) return this.lookNoMore(); // nothing could be claimed here
    const wake = (): void => this.wake();
    this.process.listen(whenToldOf('due', (flowRunId) => this.takeNamed(flowRunId), wake));
    this.clock.onSkip(wake);
    this.startedAt = performance.now();
    this.loops.start('claimer', this.loop);
  }

  /** Looks for runs right away. */
  wake(): void {
    this.mustLook = true;
    this.loop.wake();
  }

  /** Takes a run right away that has just been created, in no queue; looks for no others before they are due. */
  takeNamed(flowRunId: string): void {
    this.named.add(flowRunId);
    this.loop.wake();
  }

  /** How long ago it looked for runs, in milliseconds; `null` when it does not, because nothing could be executed here. */
  get lookedMsAgo(): number | null {
    if (this.startedAt === null || this.stopped || this.once?.isDone) return null;
    return performance.now() - (this.loop.lookedAt ?? this.startedAt);
  }

  /** Of a worker that looks once: resolves with what it took, once nothing of that is executed here any more. Else `null`. */
  get singleLook(): Promise<readonly string[]> | null {
    return this.once?.over ?? null;
  }

  /** How many runs that waited are executed here. */
  get size(): number {
    return this.held.size;
  }

  /** Whether runs are being taken that the engine does not know of yet. */
  get isTaking(): boolean {
    return this.mayHaveStrays;
  }

  /**
   * Milliseconds until the next run is due that waits in a pool, and for which there is room here; `null` when none waits.
   *
   * @param askedForOnly leaves out what schedules have made.
   */
  async nextQueuedInMs(askedForOnly: boolean): Promise<number | null> {
    const { claimant } = this;
    const open =
      this.room <= 0 || this.once?.isDone ? [] : this.lanes.filter((lane) => lane instanceof PoolLane && lane.room > 0);
    const times = await Promise.all((open as PoolLane[]).map((lane) => lane.dueInMs(claimant, askedForOnly)));
    const known = times.filter((ms) => ms !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  /** Claims nothing more, and lets go of what has not begun; resolves when what was claimed is on its way. Never rejects. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.loop.stop();
    const waiting = [...this.held.values()].filter(({ callOff }) => callOff !== null);
    for (const one of waiting) this.letGo(one);
    await this.release(waiting.map(({ claimed }) => claimed));
    this.lookNoMore();
  }

  private lanesOf({ pools, unqueued, limit, prefetchMs }: WorkerSettings): Lane[] {
    const here: Lane['execute'] = (claimed, isFresh) => this.engine.executeClaimed(claimed, isFresh);
    const poolLanes = pools.map(({ name, type, queueNames, limit: own }) => {
      const queues = { poolName: name, poolType: type, queueNames };
      const execute = type === NEST_TYPE ? here : this.elsewhere(this.types.get(type, name));
      return new PoolLane(execute, this.claims, queues, Math.min(own, limit), prefetchMs);
    });
    return [...(unqueued ? [new FreeLane(here, this.claims, this.transactions, limit)] : []), ...poolLanes];
  }

  private elsewhere(worker: BaseWorker): Lane['execute'] {
    return (claimed) => this.infrastructure.execute(claimed, worker);
  }

  private get claimant(): Claimant {
    const { flowIds, buildId, pinnedFlowIds } = this.abilities;
    const { processId } = this.process;
    return { processId, app: this.settings.app, flowIds, buildId, pinnedFlowIds, leadUs: this.clock.leadUs };
  }

  /** How many more runs may be taken, from wherever. */
  private get room(): number {
    return (this.worker?.limit ?? 0) - (this.once?.size ?? this.held.size);
  }

  private async round(): Promise<NextRound> {
    if (this.once?.isDone) return IDLE_MS;
    const { claimant } = this;
    if (this.mayHaveStrays) await this.releaseStrays(claimant.processId);
    const named = this.namedAlone();
    this.named.clear();
    this.mustLook = false;
    this.looksAt = -Infinity; // until this round is over, and if it fails
    const isMore = named ? await this.takeByName(named.ids, named.lane, claimant) : await this.takeFromLanes(claimant);
    if (isMore) return 0;
    if (this.once) {
      this.lookNoMore();
      return IDLE_MS;
    }
    const pauseMs = await this.nextLookInMs(claimant);
    this.looksAt = performance.now() + pauseMs;
    return { pauseMs, rest: this.rest };
  }

  /** The runs that were told of, where there is nothing else to look for. */
  private namedAlone(): { readonly ids: readonly string[]; readonly lane: FreeLane } | null {
    const lane = this.lanes.find((one) => one instanceof FreeLane);
    if (!lane || this.once || lane.takesInTurn || this.mustLook || performance.now() >= this.looksAt) return null;
    const ids = [...this.named].filter((id) => !this.held.has(id));
    return this.named.size > 0 && ids.length <= Math.min(MOST_NAMED, lane.room, this.room) ? { ids, lane } : null;
  }

  private async takeByName(ids: readonly string[], lane: FreeLane, claimant: Claimant): Promise<false> {
    for (const id of ids) await this.takeWhat(() => lane.claimNamed(claimant, id), lane, claimant);
    this.isFull = lane.room <= 0 || this.room <= 0; // then nobody has looked whether there are others
    return false;
  }

  /** Tells whether there is more. */
  private async takeFromLanes(claimant: Claimant): Promise<boolean> {
    this.isFull = false;
    if (this.once) for (const lane of this.lanes) await lane.nextDueInMs(claimant); // tells whether runs are taken in turn
    let isMore = false;
    for (const lane of this.lanes) {
      const limit = Math.min(CLAIM_BATCH, lane.room, this.room);
      if (limit <= 0) {
        this.isFull = true; // whatever ends wakes us
        continue;
      }
      const taken = await this.takeWhat(() => lane.claim(claimant, limit), lane, claimant);
      if (taken === limit) isMore = true;
    }
    this.lanes = [...this.lanes.slice(1), ...this.lanes.slice(0, 1)]; // in turn, so that none is kept out by another
    return isMore;
  }

  /** Gives how many. */
  private async takeWhat(
    claim: () => Promise<readonly ClaimedFlowRun[]>,
    lane: Lane,
    { processId }: Claimant,
  ): Promise<number> {
    this.mayHaveStrays = true;
    const claimed = await claim();
    await this.take(claimed, lane, processId);
    this.mayHaveStrays = false;
    return claimed.length;
  }

  private async nextLookInMs(claimant: Claimant): Promise<number> {
    let nextMs = IDLE_MS;
    for (const lane of this.lanes) {
      if (this.hasRoom(lane)) nextMs = Math.min(nextMs, (await lane.nextDueInMs(claimant)) ?? IDLE_MS);
    }
    return Math.max(nextMs, CONTENDED_MS);
  }

  private hasRoom(lane: Lane): boolean {
    return lane.room > 0 && this.room > 0;
  }

  /** Has runs executed that were claimed under that id; those that are early once they are due. */
  private async take(claimed: readonly ClaimedFlowRun[], lane: Lane, processId: string): Promise<void> {
    // Under another id by now, this process has none of them any more; and one that stops begins nothing.
    if (processId !== this.process.processId) return;
    if (this.stopped) return this.release(claimed);
    const without = await this.withoutSlots(claimed);
    const now = this.clock.now();
    for (const run of claimed) {
      if (without.has(run.created.id)) continue;
      const one: Held = { claimed: run, lane, processId, callOff: null };
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
      if (this.isFull) this.look();
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

  /** Looks for runs once all that ended in this turn of the event loop have let go: they end by the batch. */
  private look(): void {
    if (this.isLooking) return;
    this.isLooking = true;
    setImmediate(() => {
      this.isLooking = false;
      this.wake();
    });
  }

  private lookNoMore(): void {
    if (!this.once) return;
    this.once.isDone = true;
    this.once.settle(this.held.size);
  }

  /** Lets go of runs that were claimed by a statement whose answer got lost: whoever looks next takes them. */
  private async releaseStrays(processId: string): Promise<void> {
    const claimed = await this.claims.claimedBy(processId);
    const strays = claimed.filter(({ id }) => !this.held.has(id) && !this.activeRuns.find(id));
    if (strays.length > 0) await this.transactions.single((tx) => this.claims.release(tx, processId, strays));
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
