import { StateType } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { keep, pass, type Rule } from '../../transitions/transition.js';

/** Late is a run that still waits, and it becomes so once: whoever finds it late may have looked before it was claimed. */
export const markOnlyScheduledLate: Rule<FlowRun> = {
  name: 'mark-only-scheduled-late',
  from: 'any',
  to: [StateType.Scheduled],
  decide({ run, proposed }) {
    if (proposed.name !== 'Late') return pass();
    if (run.state?.type !== StateType.Scheduled) return keep('Only a run that waits to be claimed can be late.');
    return run.state.name === 'Late' ? keep('The run is late already.') : pass();
  },
};
