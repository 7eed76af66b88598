import type { TaskRun } from '@nestor/core';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';

/** What is recorded of one call. */
export type RecordedCall = {
  readonly created: NewTaskRun;
  /** It was made in the attempt that goes on, which therefore makes it again; not in an earlier one, or by another run. */
  readonly isOfThisAttempt: boolean;
} & (
  | { readonly kind: 'completed' | 'failed'; /** Encoded. */ readonly result: string | null }
  /** It had begun when its process ended, or was about to be tried again. */
  | { readonly kind: 'unfinished'; readonly image: TaskRun }
);
