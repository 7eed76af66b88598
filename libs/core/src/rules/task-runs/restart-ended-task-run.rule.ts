import { isTerminal, STATE_TYPES, StateType } from '../../states/state.js';
import type { TaskRun } from '../../transitions/run.js';
import { abort, amend, keep, pass, type Rule } from '../../transitions/transition.js';

/**
 * An ended task run may be started again, and then begins anew: its attempts are counted from 1. It cannot be paused,
 * cancelled or crashed any more; and once it completed with a result that is kept, it stays as it is.
 */
export const restartEndedTaskRun: Rule<TaskRun> = {
  name: 'restart-ended-task-run',
  from: STATE_TYPES.filter(isTerminal),
  to: 'any',
  needs: ({ run, proposed }) => (proposed.type === StateType.Running && run.flowRunId !== null ? ['flowRun'] : []),
  decide({ run, proposed }, { flowRun }) {
    const { type } = proposed;
    if (type === StateType.Cancelling || type === StateType.Paused || type === StateType.Crashed) {
      return abort(`The task run has ended already: it is ${run.state?.type}.`);
    }
    if (run.state?.type === StateType.Completed && run.state.data?.persisted) {
      return keep('The task run has completed, and its result is kept.');
    }
    if (isTerminal(type)) return pass();

    const retriedByFlow = type === StateType.Running && flowRun != null && flowRun.runCount > run.flowRunRunCount;
    return amend({ startsOver: true, ...(retriedByFlow && { proposed: { ...proposed, name: 'Retrying' } }) });
  },
};
