import { STATE_TYPES, StateType, type State } from '../../states/state.js';
import { pending } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Run } from '../../transitions/run.js';
import { preventPendingTransitions } from './prevent-pending-transitions.rule.js';

const due = instantOfMs(1_800_000_000_000);
const other = instantOfMs(1_900_000_000_000);

const verdictOf = (state: Partial<State> | null, proposed = pending()) =>
  decide(
    [preventPendingTransitions],
    { run: { state: state && { details: {}, ...state } } as Run, proposed, now: instantOfMs(0) },
    {},
  );

describe('prevent-pending-transitions', () => {
  it.each([StateType.Pending, StateType.Running, StateType.Cancelling, StateType.Cancelled])(
    'turns away who claims a run that is %s',
    (type) => {
      expect(verdictOf({ type, name: 'Pending' })).toEqual({
        kind: 'abort',
        reason: `The run is ${type} already and cannot become PENDING.`,
      });
    },
  );

  it.each<[string, StateType | null]>([
    ['has no state yet', null],
    ['is SCHEDULED', StateType.Scheduled],
    ['is PAUSED', StateType.Paused],
    ['is COMPLETED', StateType.Completed],
    ['is FAILED', StateType.Failed],
    ['is CRASHED', StateType.Crashed],
  ])('lets a run that %s be claimed', (_, type) => {
    expect(verdictOf(type && { type, name: type }).kind).toBe('accept');
  });

  it('says nothing about any state but PENDING', () => {
    const others = STATE_TYPES.filter((type) => type !== StateType.Pending);
    const verdicts = STATE_TYPES.flatMap((type) =>
      others.map((to) => verdictOf({ type, name: type }, { type: to, name: to, message: null, details: {} }).kind),
    );
    expect(new Set(verdicts)).toEqual(new Set(['accept']));
  });

  describe('of a run that is PENDING', () => {
    it.each([
      ['Pending', 'Submitting', 'accept'],
      ['Submitting', 'InfrastructurePending', 'accept'],
      ['Submitting', 'Submitting', 'abort'],
      ['Submitting', 'Pending', 'abort'],
      ['Pending', 'Pending', 'abort'],
    ])('named %s, proposed %s → %s [O07]', (current, proposed, kind) => {
      expect(verdictOf({ type: StateType.Pending, name: current }, pending({ name: proposed })).kind).toBe(kind);
    });

    it('hands the time at which it is due on to the next sub-state [O07]', () => {
      const current = { type: StateType.Pending, name: 'Pending', details: { scheduledTime: due } };
      expect(verdictOf(current, pending({ name: 'Submitting', details: { transitionId: 't' } }))).toMatchObject({
        kind: 'accept',
        state: { name: 'Submitting', details: { scheduledTime: due, transitionId: 't' } },
      });
    });

    it('leaves a time that the proposal brings along', () => {
      const current = { type: StateType.Pending, name: 'Pending', details: { scheduledTime: due } };
      const proposed = pending({ name: 'Submitting', details: { scheduledTime: other } });
      expect(verdictOf(current, proposed)).toMatchObject({ state: { details: { scheduledTime: other } } });
    });
  });

  it('does not let a RUNNING run slip into a sub-state of PENDING', () => {
    expect(verdictOf({ type: StateType.Running, name: 'Running' }, pending({ name: 'Submitting' })).kind).toBe('abort');
  });
});
