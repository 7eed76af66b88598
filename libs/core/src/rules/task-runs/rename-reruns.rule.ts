import { StateType } from '../../states/state.js';
import type { TaskRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';

/** Attempt 2 and later are told apart from the first by name: after a failure "Retrying", otherwise "Rerunning". */
export const renameReruns: Rule<TaskRun> = {
  name: 'rename-reruns',
  from: 'any',
  to: [StateType.Running],
  decide({ run, proposed }) {
    if (run.runCount === 0) return pass();
    const name = run.state?.name === 'AwaitingRetry' ? 'Retrying' : 'Rerunning';
    return amend({ proposed: { ...proposed, name } });
  },
};
