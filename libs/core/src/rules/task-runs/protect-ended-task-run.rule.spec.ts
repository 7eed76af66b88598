import { isTerminal, STATE_TYPES, type StateType } from '../../states/state.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { TaskRun } from '../../transitions/run.js';
import { protectEndedTaskRun } from './protect-ended-task-run.rule.js';

const verdictOf = (from: StateType | null, to: StateType) =>
  decide(
    [protectEndedTaskRun],
    {
      run: { state: from && { type: from, details: {} } } as TaskRun,
      proposed: { type: to, name: to, message: null, details: {} },
      now: instantOfMs(0),
    },
    {},
  );

describe('protect-ended-task-run', () => {
  const ended = STATE_TYPES.filter(isTerminal);

  it.each(ended.flatMap((from) => STATE_TYPES.map((to) => [from, to] as const)))(
    'a recorded outcome stays: %s never becomes %s',
    (from, to) => {
      expect(verdictOf(from, to)).toEqual({ kind: 'abort', reason: `The task run has ended already: it is ${from}.` });
    },
  );

  it('says nothing about a task run that has not ended', () => {
    const going = [null, ...STATE_TYPES.filter((type) => !isTerminal(type))];
    const verdicts = going.flatMap((from) => STATE_TYPES.map((to) => verdictOf(from, to).kind));
    expect(new Set(verdicts)).toEqual(new Set(['accept']));
  });
});
