import * as fc from 'fast-check';
import type { Duration } from '../time/duration.js';
import { exponentialBackoff, type ExponentialBackoffOptions } from './exponential-backoff.js';
import { InvalidRetryPolicyError } from './invalid-retry-policy.error.js';
import { retryDelayMs } from './retry-delay.js';
import { retryPolicyOf, type RetryOptions } from './retry-policy.js';

const subject = 'task "extract"';
const SOON = 'soon';

describe('retryPolicyOf', () => {
  it.each<[string, RetryOptions, number[]]>([
    ['nothing', {}, []],
    ['one pause', { retries: 2, retryDelay: '1.5s' }, [1_500]],
    ['a list', { retries: 2, retryDelay: ['1s', 250] }, [1_000, 250]],
    ['a function that gives one', { retries: 3, retryDelay: (retries) => retries * 10 }, [30]],
    [
      'a function that gives a list',
      { retries: 3, retryDelay: (retries) => Array<number>(retries).fill(7) },
      [7, 7, 7],
    ],
    ['a backoff', { retries: 4, retryDelay: exponentialBackoff({ from: '1s' }) }, [1_000, 2_000, 4_000, 8_000]],
    [
      'a function that gives a backoff',
      { retries: 2, retryDelay: () => exponentialBackoff({ from: 1, factor: 3 }) },
      [1, 3],
    ],
  ])('of %s [T10]', (_, options, retryDelaysMs) => {
    expect(retryPolicyOf(options, subject)).toEqual({ retries: options.retries ?? 0, retryDelaysMs });
  });

  it('takes the jitter of the backoff unless it is given one', () => {
    const retryDelay = exponentialBackoff({ from: '1s', jitter: 0.3 });
    expect(retryPolicyOf({ retries: 1, retryDelay }, subject).retryJitter).toBe(0.3);
    expect(retryPolicyOf({ retries: 1, retryDelay, retryJitter: 0.5 }, subject).retryJitter).toBe(0.5);
    expect(retryPolicyOf({ retries: 1, retryDelay, retryJitter: 0 }, subject)).not.toHaveProperty('retryJitter');
  });

  it('says that somebody decides what is tried again', () => {
    expect(retryPolicyOf({ retries: 1, retryConditionally: true }, subject)).toHaveProperty('retryConditionally', true);
  });

  it.each<[string, RetryOptions]>([
    ['a negative number', { retries: -1 }],
    ['half a retry', { retries: 1.5 }],
    ['no number', { retries: NaN }],
    ['a negative jitter', { retries: 1, retryJitter: -0.1 }],
    ['more than 50 pauses', { retries: 1, retryDelay: Array<number>(51).fill(1) }],
  ])('refuses %s, and says whose', (_, options) => {
    expect(() => retryPolicyOf(options, subject)).toThrow(InvalidRetryPolicyError);
    expect(() => retryPolicyOf(options, subject)).toThrow(subject);
  });

  it('refuses a pause that is no duration', () => {
    expect(() => retryPolicyOf({ retryDelay: ['1s', SOON as Duration] }, subject)).toThrow(subject);
  });

  it('takes as many pauses as there may be', () => {
    expect(retryPolicyOf({ retryDelay: Array<number>(50).fill(1) }, subject).retryDelaysMs).toHaveLength(50);
  });
});

describe('exponentialBackoff', () => {
  it.each<[string, ExponentialBackoffOptions, number, number[]]>([
    ['doubles', { from: '1s' }, 3, [1_000, 2_000, 4_000]],
    ['grows by its factor', { from: 100, factor: 1.5 }, 3, [100, 150, 225]],
    ['stays below its limit', { from: '1s', max: '3s' }, 4, [1_000, 2_000, 3_000, 3_000]],
    ['has no pauses without retries', { from: '1s' }, 0, []],
  ])('%s [T11]', (_, options, retries, expected) => {
    expect(exponentialBackoff(options).delaysMs(retries)).toEqual(expected);
  });

  it('never grows out of what can be waited for, nor lists more pauses than there may be [T11]', () => {
    const delays = exponentialBackoff({ from: '7d', factor: 1_000 }).delaysMs(1_000);
    expect(delays).toHaveLength(50);
    expect(delays.every((delay) => Number.isSafeInteger(delay * 1_000))).toBe(true);
  });

  it.each([{ factor: 0.5 }, { factor: NaN }, { factor: Infinity }, { jitter: -1 }, { jitter: NaN }])(
    'refuses %j',
    (options) => {
      expect(() => exponentialBackoff({ from: '1s', ...options })).toThrow(InvalidRetryPolicyError);
    },
  );

  it('with jitter waits within its share of each pause', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        share,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 1, max: 60 }),
        (jitter, random, attempt) => {
          const policy = retryPolicyOf(
            { retries: 60, retryDelay: exponentialBackoff({ from: 10, max: '1h', jitter }) },
            subject,
          );
          const middle = retryDelayMs(policy, attempt);
          const delay = retryDelayMs(policy, attempt, random);
          expect(delay).toBeGreaterThanOrEqual(middle * (1 - jitter) - 1e-6);
          expect(delay).toBeLessThanOrEqual(middle * (1 + jitter) + 1e-6);
        },
      ),
    );
  });
});
