import type { Instant, StateType, TaskRun } from '@nestor/core';
import type { NewTaskRun } from '../task-runs/task-run-rows.js';

/** A task run on its way into the queue, in its first state. */
export interface NewQueuedTask {
  readonly created: NewTaskRun;
  readonly run: TaskRun;
  readonly app: string;
  /** See `QueuedTaskEntity`. */
  readonly key: string | null;
  /** What the task is called with, as its column holds it. */
  readonly parameters: string;
}

/** The right of a process to a run in the queue, until it has ended or goes back there. */
export interface QueueClaim {
  readonly epoch: number;
}

/** What becomes of the place of a run in the queue. */
export interface QueueMove extends QueueClaim {
  readonly taskRunId: string;
  /**
   * - an instant: it waits again, until then.
   * - `dead`: it stays there as a dead letter.
   * - `gone`: it leaves the queue.
   */
  readonly to: Instant | 'dead' | 'gone';
}

/** A run that this process has taken from the queue. */
export interface ClaimedTask extends QueueClaim {
  readonly id: string;
}

/** A run that this process has taken from one that is dead. */
export interface AdoptedTask extends ClaimedTask {
  /** How many processes died while they had it. */
  readonly recoveries: number;
}

/** A run as its row holds it, and as the rules see it. */
export interface LoadedQueuedTask {
  readonly created: NewTaskRun;
  readonly run: TaskRun;
  /** What the task is called with, as its column holds it. */
  readonly parameters: string;
}

/** How many runs of a task are in the queue. */
export interface BackgroundTaskCounts {
  /** `Orders.ship`. */
  readonly taskKey: string;
  /** Runs that wait: for a free place, or for their time. */
  readonly queued: number;
  /** Runs that a process has taken. */
  readonly running: number;
  /** Runs that failed for good. */
  readonly deadLetters: number;
}

/** A background task run that failed for good: its retries are used up, or too many processes died of it. */
export interface DeadLetter {
  readonly taskRunId: string;
  readonly name: string;
  readonly taskKey: string;
  /** `FAILED`, or `CRASHED` when it was given up because processes died. */
  readonly stateType: StateType;
  readonly stateName: string;
  readonly message: string | null;
  /** How often it was tried. */
  readonly runCount: number;
  readonly deadSince: Instant;
}
