import { copyTaskParametersId } from '../rules/task-runs/copy-task-parameters-id.rule.js';
import { enqueueScheduledTask } from '../rules/task-runs/enqueue-scheduled-task.rule.js';
import { releaseTagSlots } from '../rules/task-runs/release-tag-slots.rule.js';
import { rememberCompletedState } from '../rules/task-runs/remember-completed-state.rule.js';
import { renameReruns } from '../rules/task-runs/rename-reruns.rule.js';
import { rescheduleFailedTaskRun } from '../rules/task-runs/reschedule-failed-task-run.rule.js';
import { restartEndedTaskRun } from '../rules/task-runs/restart-ended-task-run.rule.js';
import { retrieveCachedState } from '../rules/task-runs/retrieve-cached-state.rule.js';
import { copyScheduledTime } from '../rules/shared/copy-scheduled-time.rule.js';
import { preventPendingTransitions } from '../rules/shared/prevent-pending-transitions.rule.js';
import { waitForScheduledTime } from '../rules/shared/wait-for-scheduled-time.rule.js';
import type { TaskRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';

/** What may alter a transition of a task run that is proposed as `deferred`: it waits in a queue for whoever serves it. */
export const backgroundTaskRunPolicy: Policy<TaskRun> = [
  preventPendingTransitions, // first: of all who take it from the queue one gets it
  retrieveCachedState,
  restartEndedTaskRun,
  copyScheduledTime,
  copyTaskParametersId,
  waitForScheduledTime,
  rescheduleFailedTaskRun,
  renameReruns,
  rememberCompletedState,
  releaseTagSlots,
  enqueueScheduledTask, // last: also a retry that was put in the place of a failure is queued
];
