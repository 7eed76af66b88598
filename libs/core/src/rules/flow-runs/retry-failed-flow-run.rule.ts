import { StateType } from '../../states/state.js';
import { awaitingRetry } from '../../states/states.js';
import { addMs } from '../../time/instant.js';
import { retryDelayMs, type FlowRun } from '../../transitions/run.js';
import { amend, replace, type Rule } from '../../transitions/transition.js';

/** Turns the failure of a flow run into a scheduled retry while attempts remain. */
export const retryFailedFlowRun: Rule<FlowRun> = {
  name: 'retry-failed-flow-run',
  from: [StateType.Running],
  to: [StateType.Failed],
  decide({ run, proposed, now }) {
    if (run.runCount > run.policy.retries) return amend({ policy: { retryType: null } });
    const scheduledTime = addMs(now, retryDelayMs(run.policy, run.runCount));
    return replace(awaitingRetry({ scheduledTime, message: proposed.message }), 'Retries remain.', {
      resuming: false,
      pauseKeys: [],
      retryType: 'in_process',
    });
  },
};
