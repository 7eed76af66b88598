import { preventTasksOfStoppedFlowRuns } from '../rules/task-runs/prevent-tasks-of-stopped-flow-runs.rule.js';
import { releaseTagSlots } from '../rules/task-runs/release-tag-slots.rule.js';
import { rememberCompletedState } from '../rules/task-runs/remember-completed-state.rule.js';
import { renameReruns } from '../rules/task-runs/rename-reruns.rule.js';
import { rescheduleFailedTaskRun } from '../rules/task-runs/reschedule-failed-task-run.rule.js';
import { restartEndedTaskRun } from '../rules/task-runs/restart-ended-task-run.rule.js';
import { retrieveCachedState } from '../rules/task-runs/retrieve-cached-state.rule.js';
import { secureTagSlots } from '../rules/task-runs/secure-tag-slots.rule.js';
import { copyScheduledTime } from '../rules/shared/copy-scheduled-time.rule.js';
import { waitForScheduledTime } from '../rules/shared/wait-for-scheduled-time.rule.js';
import type { TaskRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';

/**
 * What may alter a transition of a task run that a client proposes, in order. The attempt of the flow run that a task run
 * belongs to is not a rule's matter: `advanceTaskRun` notes it.
 */
export const coreTaskRunPolicy: Policy<TaskRun> = [
  retrieveCachedState, // before all that keeps a task run from running: what is remembered need not run
  restartEndedTaskRun,
  preventTasksOfStoppedFlowRuns,
  secureTagSlots,
  copyScheduledTime,
  waitForScheduledTime,
  rescheduleFailedTaskRun,
  renameReruns,
  rememberCompletedState,
  releaseTagSlots, // last: after all that put another state in the place of the proposed one
];

/** The same for a client that takes the slots of its task runs by itself. */
export const clientSideTaskRunPolicy: Policy<TaskRun> = coreTaskRunPolicy.filter((rule) => rule !== secureTagSlots);
