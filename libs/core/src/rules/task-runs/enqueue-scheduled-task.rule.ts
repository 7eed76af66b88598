import { StateType } from '../../states/state.js';
import type { TaskRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';

/** A background task that is scheduled waits in a queue for whoever serves it; retries have a queue of their own. */
export const enqueueScheduledTask: Rule<TaskRun> = {
  name: 'enqueue-scheduled-task',
  about: 'outcome',
  from: 'any',
  to: [StateType.Scheduled],
  decide({ proposed }) {
    if (!proposed.details.deferred) return pass();
    return amend({
      effects: [{ kind: 'enqueue-task', queue: proposed.name === 'AwaitingRetry' ? 'retry' : 'scheduled' }],
    });
  },
};
