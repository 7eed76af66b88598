import { StateType } from '../../states/state.js';
import { cancelled, withDetails } from '../../states/states.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, replace, type Rule } from '../../transitions/transition.js';

/**
 * A claimed run starts only under a lease that holds. It may have been claimed long ago, and the lease of its slot have run
 * out meanwhile: then it takes another slot or, when none is free, is cancelled, because the one it was claimed with is gone.
 */
export const validateDeploymentSlot: Rule<FlowRun> = {
  name: 'validate-deployment-slot',
  from: [StateType.Pending],
  to: [StateType.Running],
  needs: ({ run }) =>
    run.state?.details.deploymentConcurrencyLeaseId === undefined
      ? []
      : ['clientRenewsLeases', 'leaseHeld', 'deployment'],
  decide({ run, proposed }, { clientRenewsLeases, leaseHeld, deployment }) {
    const leaseId = run.state?.details.deploymentConcurrencyLeaseId;
    if (leaseId === undefined || !clientRenewsLeases) return pass();
    if (deployment?.limit == null) {
      // The limit is gone. A lease that is gone too must not be named: its client would stop the run for want of it.
      if (leaseHeld) return pass();
      const { deploymentConcurrencyLeaseId: _, ...details } = proposed.details;
      return amend({ proposed: { ...proposed, details } });
    }

    const leaseMs = deployment.gracePeriodMs;
    if (leaseHeld) return amend({ effects: [{ kind: 'renew-deployment-lease', leaseId, leaseMs }] });
    if (deployment.limit > 0 && deployment.slotFree) {
      const { newLeaseId } = deployment;
      return amend({
        proposed: withDetails(proposed, { deploymentConcurrencyLeaseId: newLeaseId }),
        effects: [{ kind: 'take-deployment-slot', leaseId: newLeaseId, leaseMs }],
      });
    }
    const reason = 'The slot that the run was claimed with is gone, and its deployment has no other one free.';
    return replace(cancelled({ message: reason }), reason);
  },
};
