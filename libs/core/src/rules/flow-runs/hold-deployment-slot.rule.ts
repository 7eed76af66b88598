import { StateType } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';

/** A client that cannot renew a lease keeps its slot without: otherwise the slot would be given away while it runs. */
export const holdDeploymentSlot: Rule<FlowRun> = {
  name: 'hold-deployment-slot',
  from: [StateType.Pending],
  to: [StateType.Running, StateType.Cancelling],
  needs: ({ run }) => (run.state?.details.deploymentConcurrencyLeaseId === undefined ? [] : ['clientRenewsLeases']),
  decide({ run }, { clientRenewsLeases }) {
    const leaseId = run.state?.details.deploymentConcurrencyLeaseId;
    if (leaseId === undefined || clientRenewsLeases) return pass();
    return amend({ effects: [{ kind: 'hold-deployment-slot', leaseId }] });
  },
};
