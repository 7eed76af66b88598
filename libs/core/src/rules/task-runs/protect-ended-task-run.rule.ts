import { isTerminal, STATE_TYPES } from '../../states/state.js';
import type { TaskRun } from '../../transitions/run.js';
import { abort, type Rule } from '../../transitions/transition.js';

/** The recorded outcome of a native task run is never changed: replay depends on it. */
export const protectEndedTaskRun: Rule<TaskRun> = {
  name: 'protect-ended-task-run',
  from: STATE_TYPES.filter(isTerminal),
  to: 'any',
  decide: ({ run }) => abort(`The task run has ended already: it is ${run.state?.type}.`),
};
