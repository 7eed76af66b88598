import { addMs, instantOfMs } from '../time/instant.js';
import { cancellationDeadline, stateOfCancelledChild } from './cancellation.js';
import { isTerminal, STATE_TYPES } from './state.js';

describe('what a cancelled flow run started', () => {
  const GOING = STATE_TYPES.filter((type) => !isTerminal(type));

  it.each([null, ...GOING])('is cancelled when it ran in the same process: %s', (type) => {
    expect(stateOfCancelledChild({ state: type && { type } })?.type).toBe('CANCELLED');
    expect(stateOfCancelledChild({ state: type && { type }, deploymentId: null })?.type).toBe('CANCELLED');
  });

  it.each([null, ...GOING])('is to be cancelled where it runs when it is of a deployment: %s', (type) => {
    const expected = type === 'CANCELLING' ? undefined : 'CANCELLING';
    expect(stateOfCancelledChild({ state: type && { type }, deploymentId: 'd' })?.type).toBe(expected);
  });

  it.each(STATE_TYPES.filter(isTerminal))('stays as it is when it is %s', (type) => {
    expect(stateOfCancelledChild({ state: { type }, deploymentId: 'd' })).toBeNull();
    expect(stateOfCancelledChild({ state: { type } })).toBeNull();
  });
});

describe('cancellationDeadline', () => {
  it('is five minutes after cancellation was asked for', () => {
    const timestamp = instantOfMs(1_800_000_000_000);
    expect(cancellationDeadline({ timestamp })).toBe(addMs(timestamp, 300_000));
  });
});
