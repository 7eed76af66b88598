import { STATE_TYPES, StateType, type StateDetails } from '../../states/state.js';
import { pending } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Run } from '../../transitions/run.js';
import { copyScheduledTime } from './copy-scheduled-time.rule.js';

const due = instantOfMs(1_800_000_000_000);
const other = instantOfMs(1_900_000_000_000);

const verdictOf = (from: StateType | null, fromDetails: StateDetails, proposed = pending()) =>
  decide(
    [copyScheduledTime],
    { run: { state: from && { type: from, details: fromDetails } } as Run, proposed, now: instantOfMs(0) },
    {},
  );

describe('copy-scheduled-time', () => {
  it('gives a claimed run the time at which it was due', () => {
    const proposed = pending({ message: 'claimed', details: { transitionId: 't' } });
    expect(verdictOf(StateType.Scheduled, { scheduledTime: due }, proposed)).toMatchObject({
      kind: 'accept',
      state: { ...proposed, details: { transitionId: 't', scheduledTime: due } },
      policy: {},
    });
  });

  it('leaves a time that the proposal brings along', () => {
    const proposed = pending({ details: { scheduledTime: other } });
    expect(verdictOf(StateType.Scheduled, { scheduledTime: due }, proposed)).toMatchObject({
      state: { details: { scheduledTime: other } },
    });
  });

  it('adds nothing when the run was not due at a certain time', () => {
    expect(verdictOf(StateType.Scheduled, {})).toMatchObject({ kind: 'accept', state: pending(), policy: {} });
  });

  it('looks at SCHEDULED → PENDING only', () => {
    const moves = [null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const));
    const copied = moves.filter(([from, to]) => {
      const verdict = verdictOf(from, { scheduledTime: due }, { type: to, name: to, message: null, details: {} });
      return verdict.kind === 'accept' && verdict.state.details.scheduledTime !== undefined;
    });
    expect(copied).toEqual([['SCHEDULED', 'PENDING']]);
  });
});
