import { isTerminal, STATE_TYPES } from './state.js';

describe('state types', () => {
  it('are those of the HTTP contract, each once', () => {
    expect([...STATE_TYPES].sort()).toEqual([
      'CANCELLED',
      'CANCELLING',
      'COMPLETED',
      'CRASHED',
      'FAILED',
      'PAUSED',
      'PENDING',
      'RUNNING',
      'SCHEDULED',
    ]);
  });

  it('of runs that have ended are four', () => {
    expect(STATE_TYPES.filter(isTerminal)).toEqual(['COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED']);
  });
});
