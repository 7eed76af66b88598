import { StateType } from '../../states/state.js';
import { withDetails } from '../../states/states.js';
import { abort, amend, pass, type Rule } from '../../transitions/transition.js';

/**
 * A run is claimed once: whoever proposes `PENDING` second is turned away.
 *
 * Sub-states of `PENDING` (`Submitting`, …) may follow each other and keep the time at which the run is due.
 */
export const preventPendingTransitions: Rule = {
  name: 'prevent-pending-transitions',
  from: [StateType.Pending, StateType.Cancelling, StateType.Running, StateType.Cancelled],
  to: [StateType.Pending],
  decide({ run, proposed }) {
    const current = run.state;
    if (current?.type === StateType.Pending && proposed.name !== 'Pending' && proposed.name !== current.name) {
      const { scheduledTime } = current.details;
      if (scheduledTime === undefined || proposed.details.scheduledTime !== undefined) return pass();
      return amend({ proposed: withDetails(proposed, { scheduledTime }) });
    }
    return abort(`The run is ${current?.type} already and cannot become PENDING.`);
  },
};
