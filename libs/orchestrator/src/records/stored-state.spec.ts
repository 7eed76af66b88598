import { failed, parseInstant, pending, scheduled, type ProposedState, type State } from '@nestor/core';
import { stateOfRow, type StateColumns } from './state-columns.js';
import { instantParameter, newStates, STATE_COLUMNS, type NewState } from './stored-state.js';

const timestamp = parseInstant('2026-11-22T04:55:48.123456Z');
const entry = (proposed: ProposedState, follows: string | null = null): NewState => ({
  runId: 'run',
  state: { ...proposed, id: 'state', timestamp },
  follows,
  claim: 3,
});
/** What a lone state gives each column, as the text of an array of one element. */
const stored = (one: NewState): Record<string, string> => {
  const names = newStates.names.split(', ');
  return Object.fromEntries(newStates.parameters([one]).map((text, index) => [names[index]!, text]));
};
const textIn = (array: string): string | null =>
  array === '{NULL}' ? null : array.replace(/^\{"|"\}$/g, '').replace(/\\(.)/g, '$1');

describe('a state on its way into its row', () => {
  it('gives each of its parts a column, and says on whose behalf it is written', () => {
    expect(stored(entry(failed({ message: 'Error: no', details: { retriable: false } }), 'before'))).toEqual({
      claim: '{3}',
      run_id: '{run}',
      timestamp: '{2026-11-22T04:55:48.123456Z}',
      id: '{state}',
      type: '{"FAILED"}',
      name: '{"Failed"}',
      message: '{"Error: no"}',
      state_details: '{"{\\"retriable\\":false}"}',
      follows: '{before}',
    });
  });

  it('that is the first, and has no message, has neither', () => {
    expect(stored(entry(pending()))).toMatchObject({ message: '{NULL}', follows: '{NULL}' });
  });

  it('without details is stored with none, whoever has no details', () => {
    expect(stored(entry(pending()))).toMatchObject({ state_details: '{"{}"}' });
    expect(stored(entry(pending({ details: {} })))).toMatchObject({ state_details: '{"{}"}' });
  });

  it('keeps the microseconds of its scheduled time', () => {
    const proposed = scheduled({ scheduledTime: timestamp, details: { transitionId: 't' } });
    expect(JSON.parse(textIn(stored(entry(proposed)).state_details!)!)).toEqual({
      transitionId: 't',
      scheduledTime: '2026-11-22T04:55:48.123456Z',
    });
  });

  it.each<[string, ProposedState]>([
    ['without details', pending()],
    ['with a message', failed({ message: 'Error: “no”, "never" \\ {ever}' })],
    ['with a scheduled time', scheduled({ scheduledTime: timestamp })],
    [
      'with everything',
      scheduled({
        scheduledTime: timestamp,
        message: 'm',
        name: 'Late',
        details: {
          flowRunId: 'f',
          taskRunId: 't',
          childFlowRunId: 'c',
          transitionId: 'x',
          retriable: false,
          pauseReschedule: true,
          interrupted: true,
        },
      }),
    ],
  ])('%s comes back as it was', (_, proposed) => {
    const state: State = { ...proposed, id: 'state', timestamp };
    const columns = stored({ runId: 'run', state, follows: null, claim: 1 });
    const row = {
      id: 'state',
      type: textIn(columns.type!),
      name: textIn(columns.name!),
      message: textIn(columns.message!),
      timestamp,
      stateDetails: JSON.parse(textIn(columns.state_details!)!) as unknown,
    };
    expect(stateOfRow(row as StateColumns)).toEqual(state);
  });

  it('gives a history table a column for each of its parts but the run and the claim', () => {
    expect(`claim, run_id, ${STATE_COLUMNS}`).toBe(newStates.names);
  });
});

describe('instantParameter', () => {
  it('is the text of an instant, or null', () => {
    expect(instantParameter(timestamp)).toBe('2026-11-22T04:55:48.123456Z');
    expect(instantParameter(null)).toBeNull();
  });
});
