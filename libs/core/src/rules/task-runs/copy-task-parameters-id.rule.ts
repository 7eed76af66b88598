import { StateType } from '../../states/state.js';
import { withDetails } from '../../states/states.js';
import type { TaskRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';

/** Whoever runs a background task finds its parameters by the state it is in. */
export const copyTaskParametersId: Rule<TaskRun> = {
  name: 'copy-task-parameters-id',
  from: [StateType.Scheduled, StateType.Pending],
  to: [StateType.Pending, StateType.Running],
  decide({ run, proposed }) {
    const taskParametersId = run.state?.details.taskParametersId;
    if (taskParametersId === undefined || proposed.details.taskParametersId !== undefined) return pass();
    return amend({ proposed: withDetails(proposed, { taskParametersId }) });
  },
};
