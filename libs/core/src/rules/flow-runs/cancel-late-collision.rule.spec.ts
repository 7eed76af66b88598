import { StateType } from '../../states/state.js';
import { late, scheduled } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { DeploymentConcurrency, Facts } from '../../transitions/facts.js';
import type { FlowRun } from '../../transitions/run.js';
import { cancelLateCollision } from './cancel-late-collision.rule.js';

const scheduledTime = instantOfMs(0);
const full: DeploymentConcurrency = {
  limit: 1,
  collisionStrategy: 'CANCEL_NEW',
  gracePeriodMs: 60_000,
  slotFree: false,
  newLeaseId: 'new',
};

function verdictOf(facts: Facts, proposed = late({ scheduledTime }), deploymentId: string | null = 'd') {
  const run = { deploymentId, state: { type: StateType.Scheduled, name: 'Scheduled', details: {} } } as FlowRun;
  return decide([cancelLateCollision], { run, proposed, now: scheduledTime }, facts);
}

describe('cancel-late-collision', () => {
  it('cancels a late run that finds no slot and is not to queue [O12]', () => {
    expect(verdictOf({ deployment: full })).toMatchObject({ kind: 'reject', state: { type: 'CANCELLED' } });
  });

  it.each<[string, DeploymentConcurrency | null]>([
    ['finds a slot', { ...full, slotFree: true }],
    ['is to queue', { ...full, collisionStrategy: 'ENQUEUE' }],
    ['has no limit', { ...full, limit: null }],
    ['lost its deployment', null],
  ])('leaves one late that %s', (_, deployment) => {
    expect(verdictOf({ deployment })).toMatchObject({ kind: 'accept', state: { name: 'Late' } });
  });

  it('asks nothing about a run that is not late or has no deployment', () => {
    expect(verdictOf({}, scheduled({ scheduledTime })).kind).toBe('accept');
    expect(verdictOf({}, late({ scheduledTime }), null).kind).toBe('accept');
  });
});
