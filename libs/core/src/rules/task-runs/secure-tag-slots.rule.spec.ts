import { StateType } from '../../states/state.js';
import { pending, running } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Facts, TagLimit } from '../../transitions/facts.js';
import type { TaskRun } from '../../transitions/run.js';
import { secureTagSlots } from './secure-tag-slots.rule.js';

const free = (tag: string): TagLimit => ({ tag, limit: 2, slotFree: true });
const full = (tag: string, averageOccupancyMs?: number): TagLimit => ({
  tag,
  limit: 2,
  slotFree: false,
  ...(averageOccupancyMs !== undefined && { averageOccupancyMs }),
});

function verdictOf(facts: Facts, tags: string[] | undefined = ['a', 'b'], proposed = running()) {
  const run = { state: { type: StateType.Pending, details: {} }, tags } as unknown as TaskRun;
  return decide([secureTagSlots], { run, proposed, now: instantOfMs(0) }, facts);
}
const waitOf = (tagLimits: TagLimit[], random = 0.5) => {
  const verdict = verdictOf({ tagLimits, random });
  return verdict.kind === 'wait' && verdict.retryAfterMs;
};

describe('secure-tag-slots', () => {
  it('takes a slot of each limit', () => {
    expect(verdictOf({ tagLimits: [free('a'), free('b')], random: 0 })).toMatchObject({
      kind: 'accept',
      effects: [{ kind: 'take-tag-slots', tags: ['a', 'b'] }],
    });
  });

  it('takes none when one of them is full [O18]', () => {
    const verdict = verdictOf({ tagLimits: [free('a'), full('b')], random: 0.5 });
    expect(verdict).toEqual({
      kind: 'wait',
      retryAfterMs: 10_000,
      reason: 'No slot is free of the concurrency limit of "b".',
    });
  });

  it.each([
    ['as long as slots are usually held', [full('a', 2_000)], 2_000],
    ['as long as those of the limit that takes longest', [full('a', 2_000), full('b', 4_000)], 4_000],
    ['ten seconds at most', [full('a', 60_000)], 10_000],
    ['ten seconds when nobody knows', [full('a'), full('b', 2_000)], 10_000],
    ['a millisecond at least', [full('a', 0)], 1],
  ])('waits %s', (_, tagLimits, expected) => {
    expect(waitOf(tagLimits)).toBe(expected);
  });

  it('lets runs that were turned away together come back apart', () => {
    expect([0, 0.25, 0.5, 0.75].map((random) => waitOf([full('a', 1_000)], random))).toEqual([700, 850, 1_000, 1_150]);
  });

  it('turns a run away for good when a limit is 0 [O18]', () => {
    const closed = { tag: 'b', limit: 0, slotFree: false };
    expect(verdictOf({ tagLimits: [full('a'), closed], random: 0 })).toMatchObject({
      kind: 'abort',
      reason: expect.stringContaining('"b"') as string,
    });
  });

  it('asks about limits only of a run with tags that is to run', () => {
    expect(verdictOf({})).toEqual({ kind: 'needs-facts', names: ['tagLimits', 'random'] });
    expect(verdictOf({}, []).kind).toBe('accept');
    expect(verdictOf({}, ['a'], pending()).kind).toBe('accept');
  });

  it('takes nothing when none of the tags is limited', () => {
    expect(verdictOf({ tagLimits: [], random: 0 })).toMatchObject({ kind: 'accept', effects: [] });
  });
});
