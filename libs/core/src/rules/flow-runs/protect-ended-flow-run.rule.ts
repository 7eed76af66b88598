import { isTerminal, StateType, STATE_TYPES } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { abort, amend, pass, type Rule } from '../../transitions/transition.js';

/**
 * An ended flow run may be started again, but not paused, cancelled or crashed, and not scheduled unless somebody can
 * start it.
 */
export const protectEndedFlowRun: Rule<FlowRun> = {
  name: 'protect-ended-flow-run',
  from: STATE_TYPES.filter(isTerminal),
  to: 'any',
  needs: ['reschedulable'],
  decide({ run, proposed }, { reschedulable }) {
    const { type } = proposed;
    if (type === StateType.Cancelling || type === StateType.Paused || type === StateType.Crashed) {
      return abort(`The run has ended already: it is ${run.state?.type}.`);
    }
    if (isTerminal(type)) return pass();
    if (type === StateType.Scheduled && !reschedulable) {
      return abort('Nobody could start the run again: it has no deployment and its flow is not registered.');
    }
    const retryType = type === StateType.Scheduled ? 'reschedule' : null;
    return amend({ policy: { resuming: false, pauseKeys: [], retryType } });
  },
};
