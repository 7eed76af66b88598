import { StateType } from '../../states/state.js';
import { withDetails } from '../../states/states.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';

/** A claimed run remembers when it was due, so that claiming early does not mean starting early. */
export const copyScheduledTime: Rule = {
  name: 'copy-scheduled-time',
  from: [StateType.Scheduled],
  to: [StateType.Pending],
  decide({ run, proposed }) {
    const scheduledTime = run.state?.details.scheduledTime;
    if (scheduledTime === undefined || proposed.details.scheduledTime !== undefined) return pass();
    return amend({ proposed: withDetails(proposed, { scheduledTime }) });
  },
};
