import { STATE_TYPES, StateType, type State } from '../../states/state.js';
import { cancelling } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun } from '../../transitions/run.js';
import { cancelIdleFlowRun } from './cancel-idle-flow-run.rule.js';

function verdictOf(state: Partial<State> | null, infrastructurePid?: string, proposed = cancelling()) {
  const run = { state: state && { name: state.type, details: {}, ...state }, infrastructurePid } as FlowRun;
  return decide([cancelIdleFlowRun], { run, proposed, now: instantOfMs(0) }, {});
}

describe('cancel-idle-flow-run', () => {
  it.each<[string, Partial<State>, string | undefined, string]>([
    ['SCHEDULED, nothing started for it', { type: StateType.Scheduled }, undefined, 'reject'],
    ['SCHEDULED, with infrastructure', { type: StateType.Scheduled }, 'pid', 'accept'],
    ['resumed, with the infrastructure it left', { type: StateType.Scheduled, name: 'Resuming' }, 'pid', 'reject'],
    [
      'to go on elsewhere, after its infrastructure ended',
      { type: StateType.Scheduled, name: 'AwaitingResume' },
      'pid',
      'reject',
    ],
    [
      'to be tried again, after its infrastructure ended',
      { type: StateType.Scheduled, details: { interrupted: true } },
      'pid',
      'reject',
    ],
    ['paused in its process', { type: StateType.Paused }, undefined, 'accept'],
    ['suspended', { type: StateType.Paused, details: { pauseReschedule: true } }, 'pid', 'reject'],
  ])('%s: %s [O05]', (_, state, pid, expected) => {
    expect(verdictOf(state, pid).kind).toBe(expected);
  });

  it('cancels with the message of whoever asked for it', () => {
    expect(verdictOf({ type: StateType.Scheduled }, undefined, cancelling({ message: 'not needed' }))).toMatchObject({
      state: { type: 'CANCELLED', name: 'Cancelled', message: 'not needed' },
    });
  });

  it('says nothing of a run in another state, nor of another proposal', () => {
    const others = STATE_TYPES.filter((type) => type !== StateType.Scheduled && type !== StateType.Paused);
    expect([null, ...others].map((type) => verdictOf(type && { type }).kind)).toEqual(
      [null, ...others].map(() => 'accept'),
    );
    const proposed = { type: StateType.Running, name: 'Running', message: null, details: {} };
    expect(verdictOf({ type: StateType.Scheduled }, undefined, proposed).kind).toBe('accept');
  });
});
