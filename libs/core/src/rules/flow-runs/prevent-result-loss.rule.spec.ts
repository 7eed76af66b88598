import { isTerminal, STATE_TYPES, StateType, type ProposedState, type StateData } from '../../states/state.js';
import { completed } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun } from '../../transitions/run.js';
import { preventResultLoss } from './prevent-result-loss.rule.js';

const kept: StateData = { persisted: true, value: 'reference' };
const passing: StateData = { persisted: false, value: 'inline' };

const kindFrom = (type: StateType, data: StateData | undefined, proposed: ProposedState) =>
  decide(
    [preventResultLoss],
    { run: { state: { type, details: {}, data } } as unknown as FlowRun, proposed, now: instantOfMs(0) },
    {},
  ).kind;

describe('prevent-result-loss', () => {
  it.each<[string, StateData | undefined, StateData | undefined, string]>([
    ['a kept result by none', kept, undefined, 'reject'],
    ['a kept result by one that is not kept', kept, passing, 'reject'],
    ['a kept result by another', kept, kept, 'accept'],
    ['a result that is not kept by none', passing, undefined, 'accept'],
    ['none by none', undefined, undefined, 'accept'],
  ])('replacing %s: %s [O21]', (_, before, after, expected) => {
    expect(kindFrom(StateType.Completed, before, completed(after && { data: after }))).toBe(expected);
  });

  it('lets a completion become anything but another completion', () => {
    const others = STATE_TYPES.filter((type) => type !== StateType.Completed);
    const kinds = others.map((to) =>
      kindFrom(StateType.Completed, kept, { type: to, name: to, message: null, details: {} }),
    );
    expect(new Set(kinds)).toEqual(new Set(['accept']));
  });

  it('looks at nothing but completions that were', () => {
    const others = STATE_TYPES.filter((type) => type !== StateType.Completed || !isTerminal(type));
    expect(new Set(others.map((from) => kindFrom(from, kept, completed())))).toEqual(new Set(['accept']));
  });
});
