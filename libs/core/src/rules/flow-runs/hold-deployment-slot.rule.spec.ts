import { StateType } from '../../states/state.js';
import { cancelling, completed, running } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Facts } from '../../transitions/facts.js';
import type { FlowRun } from '../../transitions/run.js';
import { holdDeploymentSlot } from './hold-deployment-slot.rule.js';

function verdictOf(facts: Facts, proposed = running(), details: object = { deploymentConcurrencyLeaseId: 'lease' }) {
  const run = { state: { type: StateType.Pending, details } } as FlowRun;
  return decide([holdDeploymentSlot], { run, proposed, now: instantOfMs(0) }, facts);
}

describe('hold-deployment-slot', () => {
  it.each([running(), cancelling()])('lets the slot of a client that cannot renew leases last: %j', (proposed) => {
    expect(verdictOf({ clientRenewsLeases: false }, proposed)).toMatchObject({
      effects: [{ kind: 'hold-deployment-slot', leaseId: 'lease' }],
    });
  });

  it('lets the lease of a client that renews it expire', () => {
    expect(verdictOf({ clientRenewsLeases: true })).toMatchObject({ kind: 'accept', effects: [] });
  });

  it('asks nothing about a run without a lease, or one that ends', () => {
    expect(verdictOf({}, running(), {}).kind).toBe('accept');
    expect(verdictOf({}, completed()).kind).toBe('accept');
  });
});
