import { STATE_TYPES, StateType, type StateDetails } from '../../states/state.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Run } from '../../transitions/run.js';
import { preventDuplicateTransitions } from './prevent-duplicate-transitions.rule.js';

const verdictOf = (from: StateType | null, fromDetails: StateDetails, to: StateType, details: StateDetails) =>
  decide(
    [preventDuplicateTransitions],
    {
      run: { state: from && { type: from, details: fromDetails } } as Run,
      proposed: { type: to, name: to, message: null, details },
      now: instantOfMs(0),
    },
    {},
  );

describe('prevent-duplicate-transitions', () => {
  it.each(STATE_TYPES)('answers a proposal that was sent twice with the state it led to: %s [O02]', (type) => {
    expect(verdictOf(type, { transitionId: 't' }, type, { transitionId: 't' })).toMatchObject({
      kind: 'reject',
      state: null,
      reason: 'This transition has been made already.',
      policy: {},
    });
  });

  it('recognises it also when the first proposal led to another state than proposed', () => {
    const verdict = verdictOf(StateType.Scheduled, { transitionId: 't' }, StateType.Failed, { transitionId: 't' });
    expect(verdict).toMatchObject({ kind: 'reject', state: null });
  });

  it.each<[string, StateType | null, StateDetails, StateDetails]>([
    ['another transition', StateType.Pending, { transitionId: 't' }, { transitionId: 'u' }],
    ['a proposal without an id', StateType.Pending, { transitionId: 't' }, {}],
    ['a current state without an id', StateType.Pending, {}, { transitionId: 't' }],
    ['two without ids', StateType.Pending, {}, {}],
    ['the first state of a run', null, {}, { transitionId: 't' }],
  ])('lets through %s', (_, from, fromDetails, details) => {
    expect(verdictOf(from, fromDetails, StateType.Running, details).kind).toBe('accept');
  });
});
