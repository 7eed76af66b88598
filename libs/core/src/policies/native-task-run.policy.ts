import { protectEndedTaskRun } from '../rules/task-runs/protect-ended-task-run.rule.js';
import { renameReruns } from '../rules/task-runs/rename-reruns.rule.js';
import { retryFailedTaskRun } from '../rules/task-runs/retry-failed-task-run.rule.js';
import { preventDuplicateTransitions } from '../rules/shared/prevent-duplicate-transitions.rule.js';
import { waitForScheduledTime } from '../rules/shared/wait-for-scheduled-time.rule.js';
import type { TaskRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';

/** What may alter a transition of a task run that this process executes, in order. */
export const nativeTaskRunPolicy: Policy<TaskRun> = [
  preventDuplicateTransitions,
  protectEndedTaskRun,
  waitForScheduledTime,
  retryFailedTaskRun, // names the attempt that it puts in the place of a failure itself
  renameReruns,
];
