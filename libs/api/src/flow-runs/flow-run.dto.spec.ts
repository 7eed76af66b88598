import { instantOfMs } from '@nestor/core';
import type { FlowRunWithHistory } from '@nestor/orchestrator';
import { flowRunDetailsDto } from './flow-run.dto.js';

describe('a flow run on the wire', () => {
  const run = {
    created: instantOfMs(0),
    expectedStartTime: null,
    startTime: null,
    endTime: null,
    totalRunTimeMs: 1_500,
    states: [],
  };

  it('shows parameters in a form that JSON holds, whatever they are', () => {
    const parameters = { plain: [1, 'a'], big: 10n ** 20n, at: new Date(0), seen: new Map([['a', 1]]) };
    const dto = flowRunDetailsDto({ ...run, parameters } as unknown as FlowRunWithHistory);
    expect(JSON.parse(JSON.stringify(dto.parameters))).toEqual({
      plain: [1, 'a'],
      big: { $nestor: 'bigint', value: '100000000000000000000' },
      at: { $nestor: 'date', value: '1970-01-01T00:00:00.000Z' },
      seen: { $nestor: 'map', value: [['a', 1]] },
    });
  });

  it('counts instants in microseconds and durations in seconds', () => {
    expect(flowRunDetailsDto({ ...run, parameters: {} } as unknown as FlowRunWithHistory)).toMatchObject({
      created: '1970-01-01T00:00:00.000000Z',
      start_time: null,
      total_run_time: 1.5,
    });
  });
});
