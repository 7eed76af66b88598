import { retryDelayMs } from './run.js';

describe('retryDelayMs', () => {
  it.each([
    ['no delays', [], 1, 0],
    ['no delays, later', [], 9, 0],
    ['the first of one', [500], 1, 500],
    ['the last of one again', [500], 2, 500],
    ['the first of several', [1, 2, 3], 1, 1],
    ['the second of several', [1, 2, 3], 2, 2],
    ['the last of several', [1, 2, 3], 3, 3],
    ['the last of several again', [1, 2, 3], 100, 3],
    ['before any attempt', [1, 2, 3], 0, 0],
  ])('%s: delays %j after attempt %i are %d ms', (_, retryDelaysMs, runCount, expected) => {
    expect(retryDelayMs({ retries: 10, retryDelaysMs }, runCount)).toBe(expected);
  });
});
