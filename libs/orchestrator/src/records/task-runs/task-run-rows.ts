import type { RetryPolicy, TaskRun } from '@nestor/core';
import { stateOfRow, type StoredState } from '../state-columns.js';
import type { TaskInputs } from './task-inputs.js';
import type { TaskRunEntity } from './task-run.entity.js';

/** What never changes about a task run. */
export interface NewTaskRun {
  readonly id: string;
  readonly flowRunId: string | null;
  readonly parentTaskRunId: string | null;
  readonly name: string;
  readonly taskKey: string;
  readonly dynamicKey: string;
  readonly tags: readonly string[];
  /** The version that its author gave the task; `null` when none was given. */
  readonly taskVersion: string | null;
  /** Where its arguments come from; `null` when that is not known of any. */
  readonly inputs: TaskInputs | null;
}

/** What is missing in the row of a run that succeeded at once for its history to be in there: the ids of its first two states. */
export interface BriefHistory {
  readonly pendingStateId: string;
  readonly runningStateId: string;
}

/** A task run as it stands after its latest transition. */
export interface TaskRunWrite {
  readonly created: NewTaskRun;
  readonly run: TaskRun;
  /** The encoded outcome; `null` while there is none. */
  readonly result: string | null;
  /** Where its row holds its history; then its states are not written besides. */
  brief: BriefHistory | null;
  /** The number of the claim on whose behalf it is written: see `WriteFence`. */
  claim: number;
}

/** The run as the rules see it, from its row and the row of its current state. */
export function taskRunOfRow(row: TaskRunEntity, state: StoredState | null): TaskRun {
  return {
    kind: 'task-run',
    id: row.id,
    flowRunId: row.flowRunId,
    flowRunRunCount: row.flowRunRunCount,
    state: state && stateOfRow(state),
    runCount: row.runCount,
    expectedStartTime: row.expectedStartTime,
    nextScheduledStartTime: row.nextScheduledStartTime,
    startTime: row.startTime,
    endTime: row.endTime,
    totalRunTimeUs: row.totalRunTimeUs,
    policy: { ...NO_RETRIES, ...row.empiricalPolicy },
  };
}

/** What the row of a run says about what never changes. */
export function newTaskRunOfRow(row: TaskRunEntity): NewTaskRun {
  const { id, flowRunId, parentTaskRunId, name, taskKey, dynamicKey, tags, taskVersion, taskInputs } = row;
  return { id, flowRunId, parentTaskRunId, name, taskKey, dynamicKey, tags, taskVersion, inputs: taskInputs };
}

const NO_RETRIES: RetryPolicy = { retries: 0, retryDelaysMs: [] };
