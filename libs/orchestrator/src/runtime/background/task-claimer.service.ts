import { AsyncResource } from 'node:async_hooks';
import { addMs, isTerminal, StateType } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import type { Look } from '../../records/looks/look.js';
import type { ClaimedTask, LoadedQueuedTask, QueueMove } from '../../records/task-queue/task-queue-rows.js';
import { TaskQueueRepository } from '../../records/task-queue/task-queue.repository.js';
import type { Attempt } from '../engine/attempt.js';
import { OrchestratorEngine, type QueuedCall } from '../engine/orchestrator-engine.js';
import { argumentsOf } from '../engine/parameters.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import type { RunLease } from '../leases/run-lease.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { whenTold } from '../notifications/when-told.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { TaskDefinition } from '../registry/definitions.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { JournalClosedError } from '../transitions/journal-closed.error.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { Journal } from '../transitions/journal.js';
import type { LiveTaskRun } from '../transitions/live-run.js';
import { BACKGROUND_SETTINGS, isMeant, serves, type BackgroundSettings } from './background-settings.js';
import { OrphanedTasks } from './orphaned-tasks.service.js';
import { TaskQueue } from './task-queue.service.js';
import { TasksInFlight } from './tasks-in-flight.js';

/** Without a wake-up, a run may have come into the queue unnoticed for this long. */
const IDLE_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** What is due and was not to be had is in the hands of somebody who may let go of it. */
const CONTENDED_MS = 5;

/**
 * Takes task runs from the queue and has them executed: those of tasks that this process serves, and never more at a time than
 * it is told to. What it has not taken is for whoever is free.
 */
@Injectable()
export class TaskClaimer implements OnApplicationBootstrap {
  private readonly logger = new Logger(TaskClaimer.name);
  private readonly loop = new WakeableLoop(
    'Taking background tasks',
    this.logger,
    () => this.round(),
    AFTER_FAILURE_MS,
  );
  private readonly rest: Rest = {
    everyMs: IDLE_MS,
    looks: () => this.looks(),
    onNothing: (nextInMs) => (this.dueAt = nextInMs === Infinity ? Infinity : addMs(this.clock.now(), nextInMs)),
  };
  /** What is executed here, by the lease under which that is recorded. */
  private readonly executed = new Map<RunLease, Set<Attempt>>();
  /** In turn, so that a task with many runs leaves room for the others. */
  private taskKeys: readonly string[] = [];
  /** The last round failed: it may have taken runs without knowing. */
  private mayHaveStrays = false;
  /** When the next run is due, as of the last look; at any time while that is under way. */
  private dueAt = -Infinity;
  /** How many were taken whose arguments are still being read. */
  private beginning = 0;

  constructor(
    private readonly engine: OrchestratorEngine,
    private readonly registry: FlowRegistry,
    private readonly queue: TaskQueue,
    private readonly queuedTasks: TaskQueueRepository,
    private readonly inFlight: TasksInFlight,
    private readonly orphaned: OrphanedTasks,
    private readonly transactions: Transactions,
    private readonly payloads: Payloads,
    private readonly journal: Journal,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly engineSettings: EngineSettings,
    @Inject(BACKGROUND_SETTINGS) private readonly settings: BackgroundSettings | null,
  ) {}

  /** The keys of the tasks that this process serves. */
  get served(): readonly string[] {
    return [...this.taskKeys].sort();
  }

  onApplicationBootstrap(): void {
    const tasks = this.registry.tasks();
    this.taskKeys = tasks.filter((task) => serves(this.settings, task)).map(({ taskKey }) => taskKey);
    for (const one of this.settings?.tasks ?? []) {
      if (tasks.some((task) => isMeant(one, task))) continue;
      const name = typeof one === 'string' ? one : one.name;
      this.logger.warn(`Option "backgroundTasks.tasks" names ${name}, of which no task is registered here.`);
    }
    if (this.taskKeys.length === 0) return;
    // Whoever delays a task wakes us from within a run, or from a scope of tags, which are no matter of what is executed.
    this.queue.listen(AsyncResource.bind(() => this.loop.wake()));
    this.process.listen(whenTold('queued', () => this.loop.wake()));
    this.clock.onSkip(() => {
      if (this.dueAt <= this.clock.now()) this.loop.wake();
    });
    this.loops.start('task-claimer', this.loop);
  }

  /** Takes nothing more; resolves when what was taken is on its way. */
  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** Milliseconds until the next run is due that this process could take; `null` when none waits, or there is no room for it. */
  async nextDueInMs(): Promise<number | null> {
    if (this.room <= 0 || this.taskKeys.length === 0) return null;
    return this.queuedTasks.nextDueInMs(this.engineSettings.app, this.taskKeys, this.clock.leadUs);
  }

  /** Whether runs are being taken that the engine does not know of yet. */
  get isTaking(): boolean {
    return this.mayHaveStrays || this.beginning > 0;
  }

  /** How many runs may be taken. */
  private get room(): number {
    return (this.settings?.concurrency ?? 0) - this.inFlight.size;
  }

  private async round(): Promise<NextRound> {
    if (this.mayHaveStrays) await this.orphaned.releaseStrays();
    this.dueAt = -Infinity;
    const limit = this.room;
    if (limit <= 0) return IDLE_MS; // whatever ends wakes us
    this.mayHaveStrays = true;
    const count = await this.inFlight.exclusively(() => this.takeSome(limit));
    this.mayHaveStrays = false;
    if (count === limit) {
      this.taskKeys = [...this.taskKeys.slice(1), ...this.taskKeys.slice(0, 1)];
      return this.room > 0 ? 0 : IDLE_MS;
    }
    const now = this.clock.now();
    const dueInMs = await this.nextDueInMs();
    this.dueAt = dueInMs === null ? Infinity : addMs(now, dueInMs);
    return { pauseMs: Math.min(Math.max(dueInMs ?? IDLE_MS, CONTENDED_MS), IDLE_MS), rest: this.rest };
  }

  private looks(): Look[] {
    if (this.room <= 0) return []; // whatever ends wakes us
    return [this.queuedTasks.lookForDue(this.engineSettings.app, this.taskKeys, this.clock.leadUs)];
  }

  /** Takes up to `limit` runs, and has them executed; gives how many. */
  private async takeSome(limit: number): Promise<number> {
    const { processId, ownLease } = this.process;
    const { app } = this.engineSettings;
    const claimed = await this.transactions.single((tx) =>
      this.queuedTasks.claim(tx, { processId, app, taskKeys: this.taskKeys, limit }, this.clock.leadUs),
    );
    if (claimed.length === 0) return 0;
    const loaded = await this.queuedTasks.load(claimed.map(({ id }) => id));
    const ended: QueueMove[] = [];
    for (const one of claimed) {
      const task = loaded.get(one.id);
      // Somebody may have set the state of a run that waits, or dropped it.
      if (!task || (task.run.state && isTerminal(task.run.state.type))) {
        ended.push({ taskRunId: one.id, epoch: one.epoch, to: 'gone' });
      } else void this.executeOne(one, task, ownLease);
    }
    if (ended.length > 0) await this.transactions.single((tx) => this.queuedTasks.move(tx, processId, ended));
    return claimed.length;
  }

  /** Never rejects: the state of the run says how it ended. */
  private async executeOne(
    { id, epoch }: ClaimedTask,
    { created, run, parameters }: LoadedQueuedTask,
    lease: RunLease,
  ): Promise<void> {
    const definition = this.registry.findTask(created.taskKey);
    if (!definition) return;
    const letGo = this.inFlight.add(id);
    const live: LiveTaskRun = { created, image: run, lease, queue: { epoch } };
    try {
      const { whole, ended } = await this.begin(definition, live, parameters);
      this.watch(whole, lease);
      await ended.catch((error: unknown) => this.noteFailure(live, error));
      if (definition.transactional) await this.leaveQueue(live);
      this.executed.get(lease)?.delete(whole);
      if (whole.ended?.kind === 'handed-back') {
        await this.journal.settled(); // until then it is ours
        this.queue.announce();
      }
    } catch (error) {
      this.noteFailure(live, error);
    } finally {
      letGo();
      this.loop.wake();
    }
  }

  private async begin(
    definition: TaskDefinition,
    live: LiveTaskRun,
    parameters: string,
  ): Promise<ReturnType<OrchestratorEngine['executeQueued']>> {
    this.beginning += 1;
    try {
      return this.engine.executeQueued(live, definition, await this.callOf(definition, live, parameters));
    } finally {
      this.beginning -= 1;
    }
  }

  /** A transactional task records that it is done in its own transaction; it leaves the queue after that. */
  private async leaveQueue({ created, image, queue }: LiveTaskRun): Promise<void> {
    if (image.state?.type !== StateType.Completed || !queue) return;
    const { processId } = this.process;
    const gone: QueueMove = { taskRunId: created.id, epoch: queue.epoch, to: 'gone' };
    await this.journal.patiently(() => this.transactions.single((tx) => this.queuedTasks.move(tx, processId, [gone])));
  }

  /** What a task threw is recorded, and whoever waits for it hears of it there; but recording it may have failed. */
  private noteFailure({ created, image: { state }, lease }: LiveTaskRun, error: unknown): void {
    const isSettled = state !== null && (state.type === StateType.Scheduled || isTerminal(state.type));
    if (isSettled || lease?.lost || error instanceof JournalClosedError) return;
    this.logger.error(`Background task run ${created.id} could not be executed to its end: ${String(error)}`);
  }

  /** Where the arguments cannot be read, or an instance cannot be had, the run fails with that. */
  private async callOf(definition: TaskDefinition, live: LiveTaskRun, parameters: string): Promise<QueuedCall> {
    try {
      const read = async () => (await this.payloads.read(parameters)) as Record<string, unknown>;
      const args = argumentsOf(await this.journal.patiently(read));
      return { args, receiver: await definition.queuedReceiver(live, args) };
    } catch (failure) {
      if (failure instanceof JournalClosedError) throw failure;
      return { failure };
    }
  }

  /** When this process is taken for dead, others execute what it has; nothing that goes on here is recorded. */
  private watch(whole: Attempt, lease: RunLease): void {
    const end = (one: Attempt, { message }: Error): void => one.end(message, 'lease-lost');
    if (lease.lost) return end(whole, lease.lost);
    let executed = this.executed.get(lease);
    if (!executed) {
      const mine = (executed = new Set<Attempt>());
      this.executed.set(lease, mine);
      lease.onLost = (error) => {
        this.executed.delete(lease);
        for (const one of mine) end(one, error);
      };
    }
    executed.add(whole);
  }
}
