import { StateType } from '../../states/state.js';
import { cancelled } from '../../states/states.js';
import type { FlowRun } from '../../transitions/run.js';
import { pass, replace, type Rule } from '../../transitions/transition.js';

/** A late run that would be cancelled for want of a slot as soon as it is claimed is cancelled when it is found late. */
export const cancelLateCollision: Rule<FlowRun> = {
  name: 'cancel-late-collision',
  from: [StateType.Scheduled],
  to: [StateType.Scheduled],
  needs: ({ run, proposed }) => (run.deploymentId == null || proposed.name !== 'Late' ? [] : ['deployment']),
  decide({ proposed }, { deployment }) {
    if (proposed.name !== 'Late' || deployment?.limit == null) return pass();
    if (deployment.collisionStrategy !== 'CANCEL_NEW' || deployment.slotFree) return pass();
    const reason = `The deployment has its limit of ${deployment.limit} runs at once.`;
    return replace(cancelled({ message: reason }), reason);
  },
};
