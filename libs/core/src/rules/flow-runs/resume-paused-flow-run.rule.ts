import { isTerminal, STATE_TYPES, StateType } from '../../states/state.js';
import { failed } from '../../states/states.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, keep, replace, type Rule } from '../../transitions/transition.js';

const WAYS_ON: readonly StateType[] = [StateType.Running, StateType.Scheduled, ...STATE_TYPES.filter(isTerminal)];

/** A paused run goes on, is scheduled, or ends. Going on is no new attempt; after its time-out it can only fail. */
export const resumePausedFlowRun: Rule<FlowRun> = {
  name: 'resume-paused-flow-run',
  from: [StateType.Paused],
  to: 'any',
  needs: ({ run }) => (run.state?.details.pauseReschedule ? ['reschedulable'] : []),
  decide({ run, proposed, now }, { reschedulable }) {
    const { pauseReschedule, pauseTimeout } = run.state?.details ?? {};
    if (!WAYS_ON.includes(proposed.type)) return keep(`The run is paused and cannot become ${proposed.type}.`);
    if (pauseReschedule && !reschedulable) {
      return keep('Nobody could start the run again: it has no deployment and its flow is not registered.');
    }
    if (pauseTimeout !== undefined && pauseTimeout <= now) {
      return replace(failed({ message: 'Nobody resumed the run in time.' }), 'The pause has timed out.');
    }
    return amend({ policy: { resuming: true } });
  },
};
