import { STATE_TYPES, type StateType } from '../../states/state.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { TaskRun } from '../../transitions/run.js';
import { releaseTagSlots } from './release-tag-slots.rule.js';

function effectsOf(from: StateType | null, to: StateType, tags: string[] | undefined = ['a']) {
  const run = { state: from && { type: from, details: {} }, tags } as unknown as TaskRun;
  const proposed = { type: to, name: to, message: null, details: {} };
  const verdict = decide([releaseTagSlots], { run, proposed, now: instantOfMs(0) }, {});
  return 'effects' in verdict ? verdict.effects : [];
}

describe('release-tag-slots', () => {
  const holding: readonly (StateType | null)[] = ['RUNNING', 'CANCELLING'];

  it.each([null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const)))(
    'from %s to %s: when the run lets go of them',
    (from, to) => {
      const expected = holding.includes(from) && !holding.includes(to) ? [{ kind: 'release-tag-slots' }] : [];
      expect(effectsOf(from, to)).toEqual(expected);
    },
  );

  it('has nothing to release of a run without tags', () => {
    expect(effectsOf('RUNNING', 'COMPLETED', [])).toEqual([]);
  });
});
