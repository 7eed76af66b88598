import { awaitingResume, crashed, failed, isTerminal, StateType, type ProposedState } from '@nestor/core';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import type { Look } from '../../records/looks/look.js';
import type { AdoptedTask, ClaimedTask, LoadedQueuedTask } from '../../records/task-queue/task-queue-rows.js';
import { TaskQueueRepository } from '../../records/task-queue/task-queue.repository.js';
import { OutcomeUnknownError } from '../engine/engine-errors.js';
import { failureMessage } from '../engine/outcome.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Payloads } from '../payloads/payloads.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import type { LiveTaskRun } from '../transitions/live-run.js';
import { TaskRunTransitions } from '../transitions/task-run-transitions.service.js';
import { TaskQueue } from './task-queue.service.js';
import { TasksInFlight } from './tasks-in-flight.js';

/** How many runs of dead processes are dealt with at a time. */
const BATCH = 200;

/**
 * Puts background task runs of dead processes back into the queue, or gives them up: those that are to run at most once and had
 * begun, and those of which too many processes died. Takes them over first, so that of several processes one does so.
 */
@Injectable()
export class OrphanedTasks {
  private readonly logger = new Logger(OrphanedTasks.name);
  /** The last take-over failed: it may have taken runs without knowing. */
  private mayHaveStrays = false;

  constructor(
    private readonly registry: FlowRegistry,
    private readonly queue: TaskQueue,
    private readonly queuedTasks: TaskQueueRepository,
    private readonly inFlight: TasksInFlight,
    private readonly transitions: TaskRunTransitions,
    private readonly transactions: Transactions,
    private readonly payloads: Payloads,
    private readonly process: ProcessLease,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Deals with all there are of tasks that are registered here. */
  async takeOver(): Promise<void> {
    const { taskKeys } = this;
    if (taskKeys.length === 0) return;
    if (this.mayHaveStrays) await this.releaseStrays();
    this.mayHaveStrays = true;
    let count = 0;
    for (let batch = BATCH; batch === BATCH; count += batch) {
      const which = { app: this.settings.app, taskKeys, limit: BATCH };
      batch = await this.inFlight.exclusively(() => this.takeOverSome(which));
    }
    this.mayHaveStrays = false;
    if (count === 0) return;
    this.logger.warn(`${count} background task runs of dead processes are taken over.`);
    this.queue.announce();
  }

  /** Whether there are any to {@link takeOver}. */
  looks(): Look[] {
    const { taskKeys } = this;
    const which = { processId: this.process.processId, app: this.settings.app, taskKeys, limit: BATCH };
    return taskKeys.length === 0 ? [] : [this.queuedTasks.lookForOrphans(which)];
  }

  private get taskKeys(): readonly string[] {
    return this.registry.tasks().map(({ taskKey }) => taskKey);
  }

  /** Lets go of runs that this process took by a statement whose answer got lost, or that could not be read after it. */
  releaseStrays(): Promise<void> {
    return this.inFlight.exclusively(async () => {
      const { processId } = this.process;
      const strays = (await this.queuedTasks.claimedBy(processId)).filter(({ id }) => !this.inFlight.has(id));
      if (strays.length === 0) return;
      await this.transactions.single((tx) => this.queuedTasks.release(tx, processId, strays));
      this.queue.announce();
    });
  }

  private async takeOverSome(which: { app: string; taskKeys: readonly string[]; limit: number }): Promise<number> {
    const { processId, ownLease } = this.process;
    const adopted = await this.transactions.single((tx) => this.queuedTasks.adopt(tx, { processId, ...which }));
    if (adopted.length === 0) return 0;
    const loaded = await this.queuedTasks.load(adopted.map(({ id }) => id));
    const unchanged: ClaimedTask[] = [];
    const moves = adopted.map(async (one) => {
      const task = loaded.get(one.id);
      const next = task && (await this.nextOf(one, task));
      if (!next) return void unchanged.push(one);
      const { run: image, created } = task;
      const live: LiveTaskRun = { created, image, lease: ownLease, queue: { epoch: one.epoch } };
      const isBegunAgain = next.state.type === StateType.Scheduled && image.state?.type === StateType.Running;
      if (isBegunAgain) this.transitions.rewindAttempt(live);
      await this.transitions.propose(live, next.state, 0, next.result).durable();
    });
    await Promise.all(moves);
    if (unchanged.length > 0) {
      await this.transactions.single((tx) => this.queuedTasks.release(tx, processId, unchanged));
    }
    return adopted.length;
  }

  /** What becomes of a run; `null` when it goes on waiting as it is. */
  private async nextOf(
    { recoveries }: AdoptedTask,
    { created, run }: LoadedQueuedTask,
  ): Promise<{ readonly state: ProposedState; readonly result: string | null } | null> {
    if (run.state && isTerminal(run.state.type)) return null;
    if (recoveries > this.settings.maxRecoveries) {
      const message = `TOO_MANY_RECOVERIES: ${recoveries} processes died while they had the run; it is given up.`;
      return { state: crashed({ message }), result: null };
    }
    if (run.state?.type === StateType.Scheduled) return null;
    const definition = this.registry.findTask(created.taskKey);
    if (definition?.recordStart && run.state?.type === StateType.Running) {
      const error = new OutcomeUnknownError(created.name);
      const message = failureMessage(error);
      const context = { runId: created.id, subject: `error of ${definition.subject}` };
      const { stored } = await this.payloads.sealError(error, message, context);
      return { state: failed({ message, details: { retriable: false } }), result: stored };
    }
    const scheduledTime = this.transitions.now();
    const details = { interrupted: true };
    return { state: awaitingResume({ scheduledTime, message: 'Its process died.', details }), result: null };
  }
}
