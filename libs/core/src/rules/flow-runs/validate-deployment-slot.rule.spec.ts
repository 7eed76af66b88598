import { StateType } from '../../states/state.js';
import { running } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { DeploymentConcurrency, Facts } from '../../transitions/facts.js';
import type { FlowRun } from '../../transitions/run.js';
import { validateDeploymentSlot } from './validate-deployment-slot.rule.js';

const deployment: DeploymentConcurrency = {
  limit: 2,
  collisionStrategy: 'ENQUEUE',
  gracePeriodMs: 60_000,
  slotFree: true,
  newLeaseId: 'new',
};
const LEASE = { deploymentConcurrencyLeaseId: 'old' };

function verdictOf(facts: Facts, details: object = LEASE) {
  const run = { deploymentId: 'd', state: { type: StateType.Pending, details } } as FlowRun;
  return decide([validateDeploymentSlot], { run, proposed: running({ details }), now: instantOfMs(0) }, facts);
}

describe('validate-deployment-slot', () => {
  it('asks nothing about a run without a lease', () => {
    expect(verdictOf({}, {})).toMatchObject({ kind: 'accept', effects: [] });
  });

  it('asks about the lease, the client and the deployment of a run that has one', () => {
    expect(verdictOf({})).toEqual({ kind: 'needs-facts', names: ['clientRenewsLeases', 'leaseHeld', 'deployment'] });
  });

  it('renews a lease that holds, for as long as the deployment says [O13]', () => {
    expect(verdictOf({ clientRenewsLeases: true, leaseHeld: true, deployment })).toMatchObject({
      kind: 'accept',
      state: { details: LEASE },
      effects: [{ kind: 'renew-deployment-lease', leaseId: 'old', leaseMs: 60_000 }],
    });
  });

  it('takes another slot when the lease is gone, and names its lease [O13]', () => {
    expect(verdictOf({ clientRenewsLeases: true, leaseHeld: false, deployment })).toMatchObject({
      kind: 'accept',
      state: { details: { deploymentConcurrencyLeaseId: 'new' } },
      effects: [{ kind: 'take-deployment-slot', leaseId: 'new', leaseMs: 60_000 }],
    });
  });

  it.each<[string, Partial<DeploymentConcurrency>]>([
    ['none is free', { slotFree: false }],
    ['the limit has become 0', { limit: 0 }],
  ])('cancels the run when the lease is gone and %s', (_, change) => {
    const facts = { clientRenewsLeases: true, leaseHeld: false, deployment: { ...deployment, ...change } };
    expect(verdictOf(facts)).toMatchObject({ kind: 'reject', state: { type: 'CANCELLED' }, effects: [] });
  });

  it.each<[string, DeploymentConcurrency | null]>([
    ['the deployment', null],
    ['its limit', { ...deployment, limit: null }],
  ])('lets the run start when %s is gone, and names no lease that is gone too', (_, gone) => {
    expect(verdictOf({ clientRenewsLeases: true, leaseHeld: true, deployment: gone })).toMatchObject({
      kind: 'accept',
      state: { details: LEASE },
    });
    const verdict = verdictOf({ clientRenewsLeases: true, leaseHeld: false, deployment: gone });
    expect(verdict).toMatchObject({ kind: 'accept', effects: [] });
    expect(verdict).not.toHaveProperty('state.details.deploymentConcurrencyLeaseId');
  });

  it('leaves the lease of a client alone that cannot renew it', () => {
    expect(verdictOf({ clientRenewsLeases: false, leaseHeld: false, deployment })).toMatchObject({
      kind: 'accept',
      state: { details: LEASE },
      effects: [],
    });
  });
});
