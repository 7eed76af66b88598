import { STATE_TYPES, StateType } from '../../states/state.js';
import { awaitingConcurrencySlot, cancelled, withDetails } from '../../states/states.js';
import { addMs } from '../../time/instant.js';
import type { FlowRun } from '../../transitions/run.js';
import { abort, amend, pass, replace, type Rule } from '../../transitions/transition.js';
import { holdsSlot, SLOT_HOLDING } from './deployment-slot.js';

/** How long a run waits before it asks for a slot again. */
const WAIT_FOR_SLOT_MS = 30_000;

/** The same of a run in line, which somebody tells: it asks only so that it could not be forgotten for ever. */
const WAIT_IN_LINE_MS = 86_400_000;

/** Where a run holds no slot. Not a paused run: it cannot be claimed, and must not get out of its pause by queueing for one. */
const CLAIMED_FROM = [null, ...STATE_TYPES.filter((type) => !SLOT_HOLDING.includes(type) && type !== StateType.Paused)];

/** A run of a deployment with a limit is claimed only together with a slot; without one it queues or is cancelled. */
export const secureDeploymentSlot: Rule<FlowRun> = {
  name: 'secure-deployment-slot',
  from: CLAIMED_FROM,
  to: [StateType.Pending],
  needs: ({ run }) => (run.deploymentId == null ? [] : ['deployment']),
  decide({ run, proposed, now }, { deployment }) {
    if (run.deploymentId == null || holdsSlot(run.state)) return pass();
    if (!deployment) return abort('The deployment of the run is gone.');
    if (deployment.limit === null) return pass();
    if (deployment.limit === 0) return abort('The concurrency limit of the deployment is 0: it is not to run at all.');

    if (deployment.slotFree) {
      const { newLeaseId, gracePeriodMs } = deployment;
      return amend({
        proposed: withDetails(proposed, { deploymentConcurrencyLeaseId: newLeaseId }),
        effects: [{ kind: 'take-deployment-slot', leaseId: newLeaseId, leaseMs: gracePeriodMs }],
      });
    }
    const reason = `The deployment has its limit of ${deployment.limit} runs at once.`;
    if (deployment.collisionStrategy === 'CANCEL_NEW') return replace(cancelled({ message: reason }), reason);
    const waitMs = deployment.isInLine ? WAIT_IN_LINE_MS : WAIT_FOR_SLOT_MS;
    return replace(awaitingConcurrencySlot({ scheduledTime: addMs(now, waitMs) }), reason);
  },
};
