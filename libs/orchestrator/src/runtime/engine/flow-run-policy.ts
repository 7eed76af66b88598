import type { FlowRunPolicy, RetryPolicy } from '@nestor/core';

/** One object per definition, whose text in the database is made once. */
const policies = new WeakMap<RetryPolicy, FlowRunPolicy>();

/** The policy with which a run of a flow begins. */
export function flowRunPolicyOf({ policy }: { readonly policy: RetryPolicy }, maxRecoveries: number): FlowRunPolicy {
  let own = policies.get(policy);
  if (own?.maxRecoveries !== maxRecoveries) {
    // A failure that a further attempt cannot mend is said to be one by the engine.
    const conditional = { ...policy, retryConditionally: true };
    own = { ...conditional, resuming: false, pauseKeys: [], retryType: null, recoveries: 0, maxRecoveries };
    policies.set(policy, own);
  }
  return own;
}
