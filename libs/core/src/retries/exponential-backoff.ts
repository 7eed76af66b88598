import { durationMs, type Duration } from '../time/duration.js';
import { InvalidRetryPolicyError } from './invalid-retry-policy.error.js';

/** Pauses that depend on how many retries there are, and how far they are spread. */
export interface Backoff {
  readonly delaysMs: (retries: number) => readonly number[];
  readonly jitter: number;
}

export interface ExponentialBackoffOptions {
  /** The pause before the first retry. */
  readonly from: Duration;
  /** How much longer each pause is than the one before. Default 2. */
  readonly factor?: number;
  /** No pause is longer than this, before it is spread. Default: no limit. */
  readonly max?: Duration;
  /** How far a pause is spread around its length, as a share of it: 0.3 makes 10 s anything from 7 s to 13 s. Default 0. */
  readonly jitter?: number;
}

/**
 * Pauses that grow by a factor: `from`, `from * factor`, `from * factor²`, … After the 50th retry they grow no more.
 *
 * @example
 * ```ts
 * @Task({ retries: 5, retryDelay: exponentialBackoff({ from: '1s', max: '1m', jitter: 0.3 }) })
 * ```
 *
 * @throws {InvalidDurationError} when `from` or `max` is no duration.
 * @throws {InvalidRetryPolicyError} when the factor is below 1 or the jitter negative.
 */
export function exponentialBackoff({ from, factor = 2, max, jitter = 0 }: ExponentialBackoffOptions): Backoff {
  const fromMs = durationMs(from, '"from" of an exponential backoff');
  const maxMs = max === undefined ? Infinity : durationMs(max, '"max" of an exponential backoff');
  if (!(Number.isFinite(factor) && factor >= 1)) {
    throw new InvalidRetryPolicyError('an exponential backoff', `factor ${factor}: use a number from 1, such as 2`);
  }
  if (!(Number.isFinite(jitter) && jitter >= 0)) {
    throw new InvalidRetryPolicyError('an exponential backoff', `jitter ${jitter}: use a share from 0, such as 0.3`);
  }
  return {
    jitter,
    delaysMs: (retries) =>
      Array.from({ length: Math.min(retries, MAX_RETRY_DELAYS) }, (_, index) =>
        Math.min(fromMs * factor ** index, maxMs, MAX_DELAY_MS),
      ),
  };
}

/** How many pauses a policy lists at most; the last one repeats. A limit of the HTTP contract. */
export const MAX_RETRY_DELAYS = 50;

/** A hundred years: no pause leads beyond what an instant can hold. */
const MAX_DELAY_MS = 3_155_695_200_000;
