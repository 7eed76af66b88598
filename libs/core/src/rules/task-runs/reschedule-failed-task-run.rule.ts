import { factsOfRetry, retryDelayMs } from '../../retries/retry-delay.js';
import { StateType } from '../../states/state.js';
import { awaitingRetry } from '../../states/states.js';
import { addMs } from '../../time/instant.js';
import type { TaskRun } from '../../transitions/run.js';
import { pass, replace, type Rule } from '../../transitions/transition.js';

/**
 * Turns the failure of a task run into a scheduled retry while attempts remain. Unlike a native task run, which its engine
 * retries by itself, it has to come back to be started, also when it is due at once.
 */
export const rescheduleFailedTaskRun: Rule<TaskRun> = {
  name: 'reschedule-failed-task-run',
  from: [StateType.Running],
  to: [StateType.Failed],
  needs: factsOfRetry,
  decide({ run, proposed, now }, { random }) {
    if (proposed.details.retriable === false || run.runCount > run.policy.retries) return pass();
    const { message, data } = proposed;
    const deferred = proposed.details.deferred ?? run.state?.details.deferred;
    const taskParametersId = proposed.details.taskParametersId ?? run.state?.details.taskParametersId;
    return replace(
      awaitingRetry({
        scheduledTime: addMs(now, retryDelayMs(run.policy, run.runCount, random)),
        message,
        ...(data && { data }),
        // Whoever serves a background task takes its retry from the queue, and needs to find its parameters again.
        details: {
          ...(deferred !== undefined && { deferred }),
          ...(taskParametersId !== undefined && { taskParametersId }),
        },
      }),
      'Retries remain.',
    );
  },
};
