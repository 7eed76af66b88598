import { StateType } from '../../states/state.js';
import { crashed } from '../../states/states.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, replace, type PolicyChange, type Rule } from '../../transitions/transition.js';

/**
 * A run whose process is gone goes on elsewhere. If it was RUNNING, it goes on with the attempt it was in; and a retry that
 * the process was to wait for is left to whoever takes the run over. But not for ever: a run that killed every process that
 * executed it is given up, also when they died before it was noted that it ran. A subflow that was paused comes past its pause
 * again, which nobody has ended.
 */
export const takeOverFlowRun: Rule<FlowRun> = {
  name: 'take-over-flow-run',
  from: 'any',
  to: [StateType.Scheduled],
  decide({ run, proposed }) {
    const { interrupted = false } = proposed.details;
    if (proposed.name !== 'AwaitingResume' && !interrupted) return pass();
    const recoveries = run.policy.recoveries + (interrupted ? 1 : 0);
    if (interrupted && recoveries > run.policy.maxRecoveries) {
      const message = `TOO_MANY_RECOVERIES: ${recoveries} processes died while they executed the run; it is given up.`;
      return replace(crashed({ message }), 'Too many recoveries.', { policy: { recoveries } });
    }
    const interruptedPause = run.state?.type === StateType.Paused ? run.state.details.pauseKey : undefined;
    const policy: PolicyChange = {
      ...(interrupted && { recoveries }),
      ...(run.state?.type === StateType.Running && { resuming: true }),
      ...(run.policy.retryType === 'in_process' && { retryType: 'reschedule' }),
      ...(interruptedPause !== undefined && {
        pauseKeys: run.policy.pauseKeys.filter((key) => key !== interruptedPause),
      }),
    };
    return amend({ policy });
  },
};
