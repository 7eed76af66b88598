import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';

/** The task run that stands for a subflow in its parent is always in the state the subflow is in. */
export const mirrorSubflowState: Rule<FlowRun> = {
  name: 'mirror-subflow-state',
  about: 'outcome',
  from: 'any',
  to: 'any',
  decide({ run }) {
    if (run.parentTaskRunId == null) return pass();
    return amend({ effects: [{ kind: 'mirror-state', taskRunId: run.parentTaskRunId }] });
  },
};
