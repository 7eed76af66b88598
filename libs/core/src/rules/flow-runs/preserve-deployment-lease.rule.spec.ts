import { STATE_TYPES } from '../../states/state.js';
import { pending, running } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun } from '../../transitions/run.js';
import { preserveDeploymentLease } from './preserve-deployment-lease.rule.js';

const LEASE = { deploymentConcurrencyLeaseId: 'lease' };

function enteredFrom(details: object, proposed = running()) {
  const run = { state: { type: 'PENDING', details } } as FlowRun;
  const verdict = decide([preserveDeploymentLease], { run, proposed, now: instantOfMs(0) }, {});
  return verdict.kind === 'accept' ? verdict.state : null;
}

describe('preserve-deployment-lease', () => {
  it.each(STATE_TYPES)('a %s state names the lease of the state before [O07]', (type) => {
    const proposed = { type, name: type, message: null, details: { transitionId: 't' } };
    expect(enteredFrom(LEASE, proposed)?.details).toEqual({ transitionId: 't', ...LEASE });
  });

  it('leaves a lease that the proposal brings along', () => {
    const proposed = pending({ details: { deploymentConcurrencyLeaseId: 'other' } });
    expect(enteredFrom(LEASE, proposed)).toBe(proposed);
  });

  it('adds nothing when there was no lease, or no state', () => {
    const proposed = running();
    expect(enteredFrom({}, proposed)).toBe(proposed);
    const first = decide(
      [preserveDeploymentLease],
      { run: { state: null } as FlowRun, proposed, now: instantOfMs(0) },
      {},
    );
    expect(first).toMatchObject({ kind: 'accept', state: { details: {} } });
  });
});
