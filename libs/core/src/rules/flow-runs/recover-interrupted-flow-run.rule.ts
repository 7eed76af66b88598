import { StateType } from '../../states/state.js';
import { crashed } from '../../states/states.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, replace, type Rule } from '../../transitions/transition.js';

/**
 * A run whose process is gone goes on elsewhere, within the same attempt; but not for ever: what kills every process that
 * executes it is given up.
 */
export const recoverInterruptedFlowRun: Rule<FlowRun> = {
  name: 'recover-interrupted-flow-run',
  from: [StateType.Pending, StateType.Running],
  to: [StateType.Scheduled],
  decide({ run, proposed }) {
    if (proposed.name !== 'AwaitingResume') return pass();
    const { policy, state } = run;
    const recoveries = policy.recoveries + (proposed.details.interrupted ? 1 : 0);
    if (proposed.details.interrupted && recoveries > policy.maxRecoveries) {
      const message = `TOO_MANY_RECOVERIES: ${recoveries} processes died while they executed the run; it is given up.`;
      return replace(crashed({ message }), 'Too many recoveries.', { recoveries });
    }
    // A run that had not begun yet has its first attempt before it.
    const resuming = state?.type === StateType.Running || policy.resuming;
    return amend({ policy: { resuming, recoveries } });
  },
};
