import { encode, instantOfMs } from '@nestor/core';
import { PayloadCodecUnknownError, type FlowRunWithHistory } from '@nestor/orchestrator';
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
    const parametersJson: unknown = JSON.parse(encode(parameters));
    const dto = flowRunDetailsDto({ ...run, parametersJson, parametersError: null } as unknown as FlowRunWithHistory);
    expect(dto.parameters_error).toBeNull();
    expect(JSON.parse(JSON.stringify(dto.parameters))).toEqual({
      plain: [1, 'a'],
      big: { $nestor: 'bigint', value: '100000000000000000000' },
      at: { $nestor: 'date', value: '1970-01-01T00:00:00.000Z' },
      seen: { $nestor: 'map', value: [['a', 1]] },
    });
  });

  it('says why parameters cannot be shown', () => {
    const parametersError = new PayloadCodecUnknownError('aes-256-gcm', []);
    const dto = flowRunDetailsDto({ ...run, parametersJson: null, parametersError } as unknown as FlowRunWithHistory);
    expect(dto).toMatchObject({ parameters: null, parameters_error: { code: 'PAYLOAD_CODEC_UNKNOWN' } });
  });

  it('counts instants in microseconds and durations in seconds', () => {
    expect(
      flowRunDetailsDto({ ...run, parametersJson: {}, parametersError: null } as unknown as FlowRunWithHistory),
    ).toMatchObject({
      created: '1970-01-01T00:00:00.000000Z',
      start_time: null,
      total_run_time: 1.5,
    });
  });
});
