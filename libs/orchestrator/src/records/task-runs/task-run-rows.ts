import type { TaskRun } from '@nestor/core';

/** What never changes about a task run. */
export interface NewTaskRun {
  readonly id: string;
  readonly flowRunId: string | null;
  readonly parentTaskRunId: string | null;
  readonly name: string;
  readonly taskKey: string;
  readonly dynamicKey: string;
  readonly tags: readonly string[];
}

/** A task run as it stands after its latest transition. */
export interface TaskRunWrite {
  readonly created: NewTaskRun;
  readonly run: TaskRun;
  /** The encoded outcome; `null` while there is none. */
  readonly result: string | null;
}
