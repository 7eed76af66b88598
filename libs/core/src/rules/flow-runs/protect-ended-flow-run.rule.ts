import { isTerminal, StateType, STATE_TYPES } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { abort, amend, keep, pass, type Rule } from '../../transitions/transition.js';
import { hasKeptResult } from './result-loss.js';

/**
 * An ended flow run may be started again, but not paused, cancelled or crashed, not scheduled unless somebody can start it,
 * and not started again at all once it completed with a result that is kept.
 */
export const protectEndedFlowRun: Rule<FlowRun> = {
  name: 'protect-ended-flow-run',
  from: STATE_TYPES.filter(isTerminal),
  to: 'any',
  needs: ({ proposed }) => (proposed.type === StateType.Scheduled ? ['reschedulable'] : []),
  decide({ run, proposed }, { reschedulable }) {
    const { type } = proposed;
    if (type === StateType.Cancelling || type === StateType.Paused || type === StateType.Crashed) {
      return abort(`The run has ended already: it is ${run.state?.type}.`);
    }
    if (hasKeptResult(run.state) && !isTerminal(type)) return keep('The run has completed, and its result is kept.');
    if (hasKeptResult(run.state) && type === StateType.Completed && !hasKeptResult(proposed)) {
      return keep('The result of the run would be lost.');
    }
    if (isTerminal(type)) return pass();
    if (type === StateType.Scheduled && !reschedulable) {
      return abort('Nobody could start the run again: it has no deployment and its flow is not registered.');
    }
    const retryType = type === StateType.Scheduled ? 'reschedule' : null;
    return amend({ policy: { resuming: false, pauseKeys: [], retryType } });
  },
};
