import { StateType } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, type PolicyChange, type Rule } from '../../transitions/transition.js';

/**
 * A run whose process died goes on elsewhere. If it was RUNNING, it goes on with the attempt it was in; and a retry that the
 * process was to wait for is left to whoever takes the run over.
 */
export const takeOverFlowRun: Rule<FlowRun> = {
  name: 'take-over-flow-run',
  from: 'any',
  to: [StateType.Scheduled],
  decide({ run, proposed }) {
    if (proposed.name !== 'AwaitingResume') return pass();
    const policy: PolicyChange = {
      ...(run.state?.type === StateType.Running && { resuming: true }),
      ...(run.policy.retryType === 'in_process' && { retryType: 'reschedule' }),
    };
    return amend({ policy });
  },
};
