import { factsOfRetry, retryDelayMs } from '../../retries/retry-delay.js';
import { StateType } from '../../states/state.js';
import { awaitingRetry } from '../../states/states.js';
import { addMs } from '../../time/instant.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, replace, type Rule } from '../../transitions/transition.js';

/** Turns the failure of a flow run into a scheduled retry while attempts remain. */
export const retryFailedFlowRun: Rule<FlowRun> = {
  name: 'retry-failed-flow-run',
  from: [StateType.Running],
  to: [StateType.Failed],
  needs: factsOfRetry,
  decide({ run, proposed, now }, { random }) {
    const hopeless = run.policy.retryConditionally && proposed.details.retriable === false;
    if (hopeless || run.runCount > run.policy.retries) return amend({ policy: { retryType: null } });
    const scheduledTime = addMs(now, retryDelayMs(run.policy, run.runCount, random));
    const { message, data } = proposed;
    return replace(awaitingRetry({ scheduledTime, message, ...(data && { data }) }), 'Retries remain.', {
      policy: { resuming: false, pauseKeys: [], retryType: 'in_process' },
    });
  },
};
