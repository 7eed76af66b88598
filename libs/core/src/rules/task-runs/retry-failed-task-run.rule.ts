import { factsOfRetry, retryDelayMs } from '../../retries/retry-delay.js';
import { StateType } from '../../states/state.js';
import { awaitingRetry, retrying } from '../../states/states.js';
import { addMs } from '../../time/instant.js';
import type { TaskRun } from '../../transitions/run.js';
import { pass, replace, type Rule } from '../../transitions/transition.js';

/** Turns the failure of a task run into a retry while attempts remain: after its delay, or at once when it has none. */
export const retryFailedTaskRun: Rule<TaskRun> = {
  name: 'retry-failed-task-run',
  from: [StateType.Running],
  to: [StateType.Failed],
  needs: factsOfRetry,
  decide({ run, proposed, now }, { random }) {
    if (proposed.details.retriable === false || run.runCount > run.policy.retries) return pass();
    const delayMs = retryDelayMs(run.policy, run.runCount, random);
    const { message } = proposed;
    return replace(
      delayMs > 0 ? awaitingRetry({ scheduledTime: addMs(now, delayMs), message }) : retrying({ message }),
      'Retries remain.',
    );
  },
};
