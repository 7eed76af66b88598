import {
  awaitingRetry,
  backgroundTaskRunPolicy,
  rolledBack,
  scheduled,
  StateType,
  type Instant,
  type ProposedState,
  type RetryPolicy,
  type TaskRun,
} from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { Hooks } from '../hooks/hooks.service.js';
import type { RunLease } from '../leases/run-lease.js';
import { DatabaseClock } from './database-clock.js';
import { decidedTaskRun, saveEntry } from './decided.js';
import { Journal } from './journal.js';
import { newTaskRun, type LiveTaskRun } from './live-run.js';
import { TaskRunAnswer } from './task-run-answer.js';

/**
 * The door of states for task runs of this process. Nobody else writes them, so that what is decided from memory holds as long as
 * the lease does.
 */
@Injectable()
export class TaskRunTransitions {
  constructor(
    private readonly journal: Journal,
    private readonly clock: DatabaseClock,
    private readonly taskRuns: TaskRunsRepository,
    private readonly hooks: Hooks,
  ) {}

  /** Database time. */
  readonly now = (): Instant => this.clock.now();

  /** See {@link DatabaseClock.waitUntil}. */
  readonly waitUntil = (instant: Instant, signal?: AbortSignal): Promise<void> => this.clock.waitUntil(instant, signal);

  /** A task run that is scheduled, as it is put into the queue; nothing is written by this. */
  scheduledRun(created: NewTaskRun, policy: RetryPolicy, scheduledTime: Instant): TaskRun {
    const { image } = newTaskRun(created, policy, 0, null);
    const state = scheduled({ scheduledTime, details: { deferred: true } });
    return decidedTaskRun(image, state, this.now(), 0).after ?? image;
  }

  /** Whether a task run may be begun at once: see {@link Journal.hasRoom}. */
  get hasRoom(): boolean {
    return this.journal.hasRoom;
  }

  /** Calls `goOn` when a task run may be begun. */
  whenRoom(flowRunId: string | null, goOn: () => void): void {
    this.journal.whenRoom(flowRunId, goOn);
  }

  /** Takes back the attempt that was under way in a process that is gone: begun again, it counts once. */
  rewindAttempt(live: LiveTaskRun): void {
    live.image = { ...live.image, runCount: live.image.runCount - 1 };
  }

  /**
   * Proposes a state for a task run. The answer is known at once, and nobody else writes the runs of our tasks; it is written
   * as its receiver says.
   *
   * @param flowRunRunCount the attempt of the flow run that the task belongs to.
   * @param result the encoded outcome that belongs to the state.
   */
  propose(
    live: LiveTaskRun,
    proposed: ProposedState,
    flowRunRunCount: number,
    result: string | null = null,
  ): TaskRunAnswer {
    const { answer, after } = decidedTaskRun(live.image, proposed, this.now(), flowRunRunCount);
    if (!after) return new TaskRunAnswer(answer, null, this.journal);
    const owed = this.hooks.owedByTaskRun(live, after.state);
    const entry = saveEntry(live.created, live.image, after, live.lease, result, owed, live.queue);
    live.image = after;
    const called = owed && (() => this.hooks.endTask(live, after.state, result));
    return new TaskRunAnswer(answer, entry, this.journal, called);
  }

  /**
   * Notes that what a completed task run did was taken back. That changes nothing about its outcome: a run that is resumed in
   * this attempt gets it as before. Durable when this resolves.
   *
   * @param live `null` when it completed in a process that is gone.
   */
  async takeBack(
    taskRunId: string,
    live: LiveTaskRun | null,
    lease: RunLease | null,
    result: string | null,
  ): Promise<void> {
    const known = live ?? (await this.recordedTaskRun(taskRunId, lease));
    if (known?.image.state?.type !== StateType.Completed || known.image.state.name === 'RolledBack') return;
    const { answer, after } = decidedTaskRun(known.image, rolledBack(), this.now(), known.image.flowRunRunCount, []);
    if (!after) return;
    const entry = saveEntry(known.created, known.image, after, lease, result);
    known.image = after;
    await new TaskRunAnswer(answer, entry, this.journal).durable();
  }

  private async recordedTaskRun(id: string, lease: RunLease | null): Promise<LiveTaskRun | null> {
    const [found] = await this.journal.patiently(() => this.taskRuns.load([id]));
    return found ? { created: found.created, image: found.run, lease } : null;
  }

  /**
   * Lets a background task run that has ended begin anew: it is scheduled again, and its attempts are counted from the first.
   * Durable when this resolves, and so is its place in the queue.
   */
  async reopen(live: LiveTaskRun, message: string): Promise<void> {
    const now = this.now();
    const state = awaitingRetry({ scheduledTime: now, message, details: { deferred: true } });
    const { answer, after } = decidedTaskRun(live.image, state, now, 0, backgroundTaskRunPolicy);
    if (!after) return;
    const entry = saveEntry(live.created, live.image, after, live.lease, null, undefined, live.queue);
    live.image = after;
    await new TaskRunAnswer(answer, entry, this.journal).durable();
  }
}
