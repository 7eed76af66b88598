import { STATE_TYPES, StateType } from '../../states/state.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun } from '../../transitions/run.js';
import { enforceCancellingToCancelled } from './enforce-cancelling-to-cancelled.rule.js';

const verdictOf = (from: StateType, to: StateType) =>
  decide(
    [enforceCancellingToCancelled],
    {
      run: { state: { type: from, details: {} } } as FlowRun,
      proposed: { type: to, name: to, message: null, details: {} },
      now: instantOfMs(0),
    },
    {},
  );

describe('enforce-cancelling-to-cancelled', () => {
  it.each(STATE_TYPES.filter((type) => type !== StateType.Cancelled))(
    'keeps a run that is being cancelled from becoming %s [O04]',
    (to) => {
      expect(verdictOf(StateType.Cancelling, to)).toMatchObject({
        kind: 'reject',
        state: null,
        reason: 'The run is being cancelled; it can only become CANCELLED.',
        policy: {},
      });
    },
  );

  it('lets it become CANCELLED', () => {
    expect(verdictOf(StateType.Cancelling, StateType.Cancelled).kind).toBe('accept');
  });

  it.each(STATE_TYPES.filter((type) => type !== StateType.Cancelling))('leaves a run that is %s alone', (from) => {
    expect(STATE_TYPES.map((to) => verdictOf(from, to).kind)).toEqual(STATE_TYPES.map(() => 'accept'));
  });
});
