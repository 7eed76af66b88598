import { StateType, type State } from '../../states/state.js';
import { cancelled } from '../../states/states.js';
import type { FlowRun } from '../../transitions/run.js';
import { pass, replace, type Rule } from '../../transitions/transition.js';

/** A run that nothing executes is cancelled at once: nobody is there who could come from CANCELLING to CANCELLED. */
export const cancelIdleFlowRun: Rule<FlowRun> = {
  name: 'cancel-idle-flow-run',
  from: [StateType.Scheduled, StateType.Paused],
  to: [StateType.Cancelling],
  decide({ run, proposed }) {
    if (run.state === null || !isIdle(run, run.state)) return pass();
    return replace(cancelled({ message: proposed.message }), 'Nothing executes the run, so it is cancelled at once.');
  },
};

/** A resumed run left its old infrastructure behind when it was suspended; one that is to go on elsewhere, when that ended. */
const LEFT_BEHIND: readonly string[] = ['Resuming', 'AwaitingResume'];

function isIdle(run: FlowRun, state: State): boolean {
  if (state.type === StateType.Paused) return state.details.pauseReschedule === true;
  return run.infrastructurePid == null || LEFT_BEHIND.includes(state.name) || state.details.interrupted === true;
}
