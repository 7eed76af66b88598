import { StateType } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { abort, amend, keep, type Rule } from '../../transitions/transition.js';

/**
 * Only a run that is RUNNING pauses, and each of its pauses fires once: a run that is started again comes past the pauses it
 * has been resumed from. A pause without a key is one of its own every time.
 *
 * To leave its process meanwhile, the run must be one that somebody can start again, and no subflow: its caller waits for it.
 */
export const pauseFlowRun: Rule<FlowRun> = {
  name: 'pause-flow-run',
  from: 'any',
  to: [StateType.Paused],
  needs: ({ run, proposed }) =>
    run.state?.type === StateType.Running && proposed.details.pauseReschedule ? ['reschedulable'] : [],
  decide({ run, proposed }, { reschedulable }) {
    const { pauseKey, pauseReschedule } = proposed.details;
    if (run.state === null) return abort('The run has no state yet and cannot pause.');
    if (run.state.type !== StateType.Running)
      return keep(`The run is ${run.state.type}; only a RUNNING run can pause.`);
    if (pauseKey !== undefined && run.policy.pauseKeys.includes(pauseKey)) return keep('This pause has fired already.');
    if (pauseReschedule && run.parentTaskRunId !== null) return abort('A subflow cannot be suspended.');
    if (pauseReschedule && !reschedulable) {
      return abort('Nobody could start the run again: it has no deployment and its flow is not registered.');
    }
    return amend(pauseKey === undefined ? {} : { policy: { pauseKeys: [...run.policy.pauseKeys, pauseKey] } });
  },
};
