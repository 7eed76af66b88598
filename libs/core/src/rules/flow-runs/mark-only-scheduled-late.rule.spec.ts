import { STATE_TYPES, StateType, type State } from '../../states/state.js';
import { late, scheduled } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun } from '../../transitions/run.js';
import { markOnlyScheduledLate } from './mark-only-scheduled-late.rule.js';

const scheduledTime = instantOfMs(0);

const verdictOf = (state: Partial<State> | null, proposed = late({ scheduledTime })) =>
  decide([markOnlyScheduledLate], { run: { state } as FlowRun, proposed, now: scheduledTime }, {});

describe('mark-only-scheduled-late', () => {
  it.each(['Scheduled', 'AwaitingRetry', 'Resuming'])('marks a run late that is %s', (name) => {
    expect(verdictOf({ type: StateType.Scheduled, name })).toMatchObject({ kind: 'accept', state: { name: 'Late' } });
  });

  it('marks none late twice [O11]', () => {
    expect(verdictOf({ type: StateType.Scheduled, name: 'Late' })).toMatchObject({ kind: 'reject', state: null });
  });

  it.each([null, ...STATE_TYPES.filter((type) => type !== StateType.Scheduled)])(
    'marks none late that is %s [O11]',
    (type) => {
      expect(verdictOf(type && { type, name: type })).toMatchObject({ kind: 'reject', state: null });
    },
  );

  it('says nothing of other states that are scheduled', () => {
    expect(verdictOf({ type: StateType.Running, name: 'Running' }, scheduled({ scheduledTime })).kind).toBe('accept');
  });
});
