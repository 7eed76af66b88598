import { isTerminal, STATE_TYPES, StateType } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';
import { holdsSlot, SLOT_HOLDING } from './deployment-slot.js';

/**
 * A run that stops lets go of its deployment's slot, in the transaction in which it stops; one that waits and ends, of its
 * place in the line, or of the slot that it was handed there.
 */
export const releaseDeploymentSlot: Rule<FlowRun> = {
  name: 'release-deployment-slot',
  about: 'outcome',
  from: [...SLOT_HOLDING, StateType.Scheduled, StateType.Paused],
  to: STATE_TYPES.filter((type) => !SLOT_HOLDING.includes(type)),
  decide({ run, proposed }) {
    if (run.deploymentId == null || holdsSlot(proposed, run.policy)) return pass();
    const waits = run.state?.type === StateType.Scheduled && isTerminal(proposed.type);
    if (!waits && !holdsSlot(run.state, run.policy)) return pass();
    return amend({ effects: [{ kind: 'release-deployment-slot' }] });
  },
};
