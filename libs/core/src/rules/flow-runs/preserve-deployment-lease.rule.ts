import { withDetails } from '../../states/states.js';
import type { FlowRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';

/** Every state of a run says under which lease it holds its slot, whoever proposed the state: that is whom to renew it for. */
export const preserveDeploymentLease: Rule<FlowRun> = {
  name: 'preserve-deployment-lease',
  from: 'any',
  to: 'any',
  decide({ run, proposed }) {
    const leaseId = run.state?.details.deploymentConcurrencyLeaseId;
    if (leaseId === undefined || proposed.details.deploymentConcurrencyLeaseId !== undefined) return pass();
    return amend({ proposed: withDetails(proposed, { deploymentConcurrencyLeaseId: leaseId }) });
  },
};
