import { retryDelayMs } from './retry-delay.js';

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
  ])('%s: delays %j after attempt %i are %d ms [T10]', (_, retryDelaysMs, runCount, expected) => {
    expect(retryDelayMs({ retries: 10, retryDelaysMs }, runCount)).toBe(expected);
  });

  it.each([
    [0, 0, 1_000],
    [0.3, 0, 700],
    [0.3, 0.5, 1_000],
    [0.3, 0.999, 1_299.4],
    [1, 0, 0],
    [4, 0, 0],
  ])('with a jitter of %d and the lot %d, a second becomes %d ms', (retryJitter, random, expected) => {
    expect(retryDelayMs({ retries: 1, retryDelaysMs: [1_000], retryJitter }, 1, random)).toBeCloseTo(expected);
  });

  it('keeps every delay within its share, and their average where it was', () => {
    const policy = { retries: 1, retryDelaysMs: [1_000], retryJitter: 0.3 };
    const delays = Array.from({ length: 1_000 }, (_, index) => retryDelayMs(policy, 1, (index + 0.5) / 1_000));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(700);
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_300);
    expect(delays.reduce((sum, delay) => sum + delay) / delays.length).toBeCloseTo(1_000);
  });
});
