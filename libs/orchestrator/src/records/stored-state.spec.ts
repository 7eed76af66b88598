import { failed, parseInstant, pending, scheduled, type ProposedState, type State } from '@nestor/core';
import { columnsOf } from './columns-of.js';
import { stateOfRow, type StateColumns } from './state-columns.js';
import { instantParameter, STATE_COLUMNS, stateColumns, unnestStates, type NewState } from './stored-state.js';

const timestamp = parseInstant('2026-11-22T04:55:48.123456Z');
const entry = (proposed: ProposedState, follows: string | null = null): NewState => ({
  runId: 'run',
  state: { ...proposed, id: 'state', timestamp },
  follows,
});
const stored = (one: NewState): unknown[] => stateColumns.map((column) => column(one));

describe('a state on its way into its row', () => {
  it('gives each of its parts a column', () => {
    expect(stored(entry(failed({ message: 'Error: no', details: { retriable: false } }), 'before'))).toEqual([
      'run',
      '2026-11-22T04:55:48.123456Z',
      'state',
      'FAILED',
      'Failed',
      'Error: no',
      '{"retriable":false}',
      'before',
    ]);
  });

  it('without details is stored with none, whoever has no details', () => {
    expect(stored(entry(pending()))[6]).toBe('{}');
    expect(stored(entry(pending({ details: {} })))[6]).toBe('{}');
  });

  it('keeps the microseconds of its scheduled time', () => {
    const proposed = scheduled({ scheduledTime: timestamp, details: { transitionId: 't' } });
    expect(JSON.parse(stored(entry(proposed))[6] as string)).toEqual({
      transitionId: 't',
      scheduledTime: '2026-11-22T04:55:48.123456Z',
    });
  });

  it.each<[string, ProposedState]>([
    ['without details', pending()],
    ['with a message', failed({ message: 'Error: no' })],
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
        },
      }),
    ],
  ])('%s comes back as it was', (_, proposed) => {
    const state: State = { ...proposed, id: 'state', timestamp };
    const [, , id, type, name, message, details] = stored({ runId: 'run', state, follows: null });
    const row = { id, type, name, message, timestamp, stateDetails: JSON.parse(details as string) as unknown };
    expect(stateOfRow(row as StateColumns)).toEqual(state);
  });
});

describe('the statement part that states are written with', () => {
  it('numbers its parameters from the one it is told', () => {
    expect(unnestStates(14)).toBe(
      'unnest($14::uuid[], $15::timestamptz[], $16::uuid[], $17::text[], $18::text[], $19::text[], $20::jsonb[], ' +
        '$21::uuid[]) as s(run_id, timestamp, id, type, name, message, state_details, follows)',
    );
  });

  it('has a parameter and a column for each part of a state', () => {
    expect(unnestStates(1).match(/\$\d+/g)).toHaveLength(stateColumns.length);
    expect(`run_id, ${STATE_COLUMNS}`.split(', ')).toHaveLength(stateColumns.length);
  });
});

describe('columnsOf', () => {
  it('turns rows into one array per column', () => {
    const rows = [
      { id: 1, name: 'a' },
      { id: 2, name: null },
    ];
    expect(columnsOf(rows, [({ id }) => id, ({ name }) => name])).toEqual([
      [1, 2],
      ['a', null],
    ]);
  });

  it('gives empty arrays when there are no rows', () => {
    expect(columnsOf([], [() => 1, () => 2])).toEqual([[], []]);
  });
});

describe('instantParameter', () => {
  it('is the text of an instant, or null', () => {
    expect(instantParameter(timestamp)).toBe('2026-11-22T04:55:48.123456Z');
    expect(instantParameter(null)).toBeNull();
  });
});
