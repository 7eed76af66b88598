import { STATE_TYPES, StateType } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';
import { holdsSlot, SLOT_HOLDING } from './deployment-slot.js';

/** A run that stops lets go of its deployment's slot, in the transaction in which it stops. */
export const releaseDeploymentSlot: Rule<FlowRun> = {
  name: 'release-deployment-slot',
  about: 'outcome',
  from: [...SLOT_HOLDING, StateType.Scheduled],
  to: STATE_TYPES.filter((type) => !SLOT_HOLDING.includes(type)),
  decide({ run, proposed }) {
    if (run.deploymentId == null || !holdsSlot(run.state) || holdsSlot(proposed)) return pass();
    return amend({ effects: [{ kind: 'release-deployment-slot' }] });
  },
};
