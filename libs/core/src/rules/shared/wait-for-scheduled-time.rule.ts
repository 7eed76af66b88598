import { StateType } from '../../states/state.js';
import { msBetween } from '../../time/instant.js';
import { pass, wait, type Rule } from '../../transitions/transition.js';

/** Nothing runs before its scheduled time; whoever is early is told how long to wait. */
export const waitForScheduledTime: Rule = {
  name: 'wait-for-scheduled-time',
  from: [StateType.Scheduled, StateType.Pending],
  to: [StateType.Running],
  decide({ run, now }) {
    const scheduledTime = run.state?.details.scheduledTime;
    if (scheduledTime === undefined || scheduledTime <= now) return pass();
    return wait(Math.ceil(msBetween(now, scheduledTime)), 'The scheduled time is in the future.');
  },
};
