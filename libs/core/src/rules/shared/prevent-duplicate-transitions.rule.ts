import { keep, pass, type Rule } from '../../transitions/transition.js';

/** A proposal that was sent twice (same transition id) is answered with the state it led to the first time. */
export const preventDuplicateTransitions: Rule = {
  name: 'prevent-duplicate-transitions',
  from: 'any',
  to: 'any',
  decide({ run, proposed }) {
    const sent = proposed.details.transitionId;
    if (sent === undefined || run.state?.details.transitionId !== sent) return pass();
    return keep('This transition has been made already.');
  },
};
