import { STATE_TYPES, StateType } from '../../states/state.js';
import { pending } from '../../states/states.js';
import { addMs, instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { DeploymentConcurrency, Facts } from '../../transitions/facts.js';
import type { FlowRun } from '../../transitions/run.js';
import { secureDeploymentSlot } from './secure-deployment-slot.rule.js';

const now = instantOfMs(1_800_000_000_000);
const deployment: DeploymentConcurrency = {
  limit: 2,
  collisionStrategy: 'ENQUEUE',
  gracePeriodMs: 60_000,
  slotFree: true,
  newLeaseId: 'new',
};

function verdictOf(facts: Facts, from: StateType | null = StateType.Scheduled, over: Partial<FlowRun> = {}) {
  const run = { deploymentId: 'd', state: from && { type: from, name: from, details: {} }, ...over } as FlowRun;
  return decide([secureDeploymentSlot], { run, proposed: pending(), now }, facts);
}

describe('secure-deployment-slot', () => {
  it('asks nothing about a run without deployment', () => {
    expect(verdictOf({}, StateType.Scheduled, { deploymentId: null }).kind).toBe('accept');
  });

  it('asks how often the deployment may run', () => {
    expect(verdictOf({})).toEqual({ kind: 'needs-facts', names: ['deployment'] });
  });

  it('takes a slot under a lease that the state names', () => {
    expect(verdictOf({ deployment })).toMatchObject({
      kind: 'accept',
      state: { details: { deploymentConcurrencyLeaseId: 'new' } },
      effects: [{ kind: 'take-deployment-slot', leaseId: 'new', leaseMs: 60_000 }],
    });
  });

  it('queues the run for half a minute when no slot is free', () => {
    expect(verdictOf({ deployment: { ...deployment, slotFree: false } })).toMatchObject({
      kind: 'reject',
      state: { type: 'SCHEDULED', name: 'AwaitingConcurrencySlot', details: { scheduledTime: addMs(now, 30_000) } },
      effects: [],
    });
  });

  it.each(['ENQUEUE', 'CANCEL_RUNNING', 'REPLACE_PENDING'] as const)(
    'lets a run in line wait until it is told, with %s [D07] [D10]',
    (collisionStrategy) => {
      const inLine = { ...deployment, collisionStrategy, slotFree: false, isInLine: true };
      expect(verdictOf({ deployment: inLine })).toMatchObject({
        kind: 'reject',
        state: { name: 'AwaitingConcurrencySlot', details: { scheduledTime: addMs(now, 86_400_000) } },
      });
    },
  );

  it('cancels the run when no slot is free and the deployment does not queue', () => {
    const full = { ...deployment, slotFree: false, collisionStrategy: 'CANCEL_NEW' as const };
    expect(verdictOf({ deployment: full })).toMatchObject({
      kind: 'reject',
      state: { type: 'CANCELLED' },
      effects: [],
    });
  });

  it.each<[string, DeploymentConcurrency | null, string]>([
    ['is gone', null, 'abort'],
    ['may not run at all', { ...deployment, limit: 0 }, 'abort'],
    ['has no limit', { ...deployment, limit: null, slotFree: false }, 'accept'],
  ])('of a deployment that %s: %s', (_, fact, expected) => {
    const verdict = verdictOf({ deployment: fact });
    expect(verdict.kind).toBe(expected);
    expect('effects' in verdict ? verdict.effects : []).toEqual([]);
  });

  it('looks at whatever holds no slot yet and can be claimed', () => {
    const asked = [null, ...STATE_TYPES].filter((from) => verdictOf({}, from).kind === 'needs-facts');
    expect(asked).toEqual([null, 'SCHEDULED', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED']);
  });

  it('takes no second slot for a run that kept its own while it waited for another process', () => {
    const state = { type: StateType.Scheduled, name: 'AwaitingResume', details: {} } as FlowRun['state'];
    expect(verdictOf({ deployment }, StateType.Scheduled, { state })).toMatchObject({ kind: 'accept', effects: [] });
  });
});
