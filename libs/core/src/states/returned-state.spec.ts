import type { ProposedState } from './state.js';
import { returnedState } from './returned-state.js';
import { cancelled, completed, crashed, failed, paused, running } from './states.js';

const ofRun = (state: ProposedState): ProposedState => ({ ...state, details: { taskRunId: 't' } });

describe('the state of a run whose method returned', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a value', { type: 'COMPLETED', name: 'looks like one' }],
    ['an empty list', []],
    ['a list of values', [1, 2]],
    ['a list of states and values', [failed(), 1]],
    ['a value with the type of an order', { type: 'SHIPPED', name: 'order', message: null, details: {} }],
  ])('%s is COMPLETED', (_, value) => {
    expect(returnedState(value)).toEqual(completed());
  });

  it.each([completed({ name: 'Skipped', message: 'nothing to do' }), failed(), cancelled(), running()])(
    'a state that the author made is that state: %j',
    (state) => {
      expect(returnedState(state)).toBe(state);
    },
  );

  it.each<[string, unknown, string]>([
    ['the completed run of a task', ofRun(completed({ name: 'Cached' })), 'COMPLETED'],
    ['the failed run of a task', ofRun(failed()), 'FAILED'],
    ['completed ones only', [completed(), ofRun(completed())], 'COMPLETED'],
    ['a set', new Set([completed(), failed()]), 'FAILED'],
    ['a failed one', [completed(), failed()], 'FAILED'],
    ['a crashed one', [completed(), crashed()], 'FAILED'],
    ['one that still runs', [completed(), running()], 'FAILED'],
    ['a paused one, a failed one', [paused(), failed(), completed()], 'PAUSED'],
    ['a cancelled one, a paused one, a failed one', [paused(), failed(), cancelled()], 'CANCELLED'],
  ])('states of runs are summed up: %s', (_, value, type) => {
    expect(returnedState(value).type).toBe(type);
  });

  it('says how many did not complete, and what they are instead', () => {
    const states = [completed(), failed(), failed(), cancelled()];
    expect(returnedState(states).message).toBe('2 of 4 FAILED, 1 of 4 CANCELLED');
    expect(returnedState([completed()]).message).toBe('All states are COMPLETED.');
  });
});
