import { OrchestratorError } from './orchestrator-error.js';

class LampBrokenError extends OrchestratorError {
  readonly code = 'LAMP_BROKEN';

  constructor(
    readonly lamp: string,
    cause?: unknown,
  ) {
    super(`Lamp "${lamp}" is broken; change the bulb.`, { cause });
  }
}

describe('OrchestratorError', () => {
  it('is an error named after its class, with its code, its facts and its cause', () => {
    const cause = new Error('no current');
    const error = new LampBrokenError('desk', cause);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'LampBrokenError', code: 'LAMP_BROKEN', lamp: 'desk', cause });
    expect(String(error)).toBe('LampBrokenError: Lamp "desk" is broken; change the bulb.');
  });
});
