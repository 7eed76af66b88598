import { STATE_TYPES, StateType } from '../../states/state.js';
import { running } from '../../states/states.js';
import { addMicros, addMs, instantOfMs, type Instant } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Run } from '../../transitions/run.js';
import { waitForScheduledTime } from './wait-for-scheduled-time.rule.js';

const now = instantOfMs(1_800_000_000_000);

const verdictOf = (from: StateType | null, scheduledTime: Instant | undefined, proposed = running()) =>
  decide(
    [waitForScheduledTime],
    { run: { state: from && { type: from, details: { scheduledTime } } } as Run, proposed, now },
    {},
  );

describe('wait-for-scheduled-time', () => {
  it.each([StateType.Scheduled, StateType.Pending])('makes a %s run wait until it is due [O08]', (from) => {
    expect(verdictOf(from, addMs(now, 1_500))).toEqual({
      kind: 'wait',
      retryAfterMs: 1_500,
      reason: 'The scheduled time is in the future.',
    });
  });

  it.each<[string, Instant, number]>([
    ['a microsecond', addMicros(now, 1), 1],
    ['a millisecond and a bit', addMicros(now, 1_001), 2],
    ['a year', addMs(now, 31_536_000_000), 31_536_000_000],
  ])('never lets it come back too early: due in %s', (_, scheduledTime, retryAfterMs) => {
    expect(verdictOf(StateType.Scheduled, scheduledTime)).toMatchObject({ kind: 'wait', retryAfterMs });
  });

  it.each<[string, Instant | undefined]>([
    ['is due now', now],
    ['was due before', addMicros(now, -1)],
    ['has no scheduled time', undefined],
  ])('starts a run that %s', (_, scheduledTime) => {
    expect(verdictOf(StateType.Scheduled, scheduledTime).kind).toBe('accept');
  });

  it('looks at the time of the current state, not of the proposal', () => {
    const proposed = running({ details: { scheduledTime: addMs(now, 1_000) } });
    expect(verdictOf(StateType.Scheduled, now, proposed).kind).toBe('accept');
  });

  it('looks at SCHEDULED → RUNNING and PENDING → RUNNING only', () => {
    const moves = [null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const));
    const waiting = moves.filter(
      ([from, to]) =>
        verdictOf(from, addMs(now, 1), { type: to, name: to, message: null, details: {} }).kind === 'wait',
    );
    expect(waiting).toEqual([
      ['SCHEDULED', 'RUNNING'],
      ['PENDING', 'RUNNING'],
    ]);
  });
});
