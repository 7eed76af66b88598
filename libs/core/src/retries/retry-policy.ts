import { durationMs, type Duration } from '../time/duration.js';
import type { RetryPolicy } from '../transitions/run.js';
import { MAX_RETRY_DELAYS, type Backoff } from './exponential-backoff.js';
import { InvalidRetryPolicyError } from './invalid-retry-policy.error.js';

/** One pause for all retries; a list of pauses, whose last one repeats; or pauses that depend on their number. */
type Pauses = Duration | readonly Duration[] | Backoff;

/** Pauses, or a function that makes them for a number of retries. */
export type RetryDelay = Pauses | ((retries: number) => Pauses);

export interface RetryOptions {
  /** Attempts after the first one. Default 0. */
  readonly retries?: number;
  /** The pause before each of them. Default: none. */
  readonly retryDelay?: RetryDelay;
  /** How far pauses are spread around their length, as a share of it. Default: that of the backoff, or 0. */
  readonly retryJitter?: number;
  /** Whether somebody decides, failure by failure, what is tried again. Default false. */
  readonly retryConditionally?: boolean;
}

/**
 * The retry policy that a run is created with. A function is called here, once: a policy is data, and stays what it was when
 * code changes.
 *
 * @param subject whose retries, for messages: `task "extract"`.
 * @throws {InvalidRetryPolicyError} when `retries` is no whole number from 0, the jitter is negative, or there are more than
 * 50 pauses.
 * @throws {InvalidDurationError} when a pause is no duration.
 */
export function retryPolicyOf(options: RetryOptions, subject: string): RetryPolicy {
  const { retries = 0, retryDelay, retryConditionally } = options;
  if (!Number.isInteger(retries) || retries < 0) {
    throw new InvalidRetryPolicyError(subject, `number ${String(retries)}: use a whole number from 0`);
  }
  const pauses = typeof retryDelay === 'function' ? retryDelay(retries) : (retryDelay ?? []);
  const retryJitter = options.retryJitter ?? (isBackoff(pauses) ? pauses.jitter : 0);
  if (!(Number.isFinite(retryJitter) && retryJitter >= 0)) {
    throw new InvalidRetryPolicyError(subject, `jitter ${retryJitter}: use a share from 0, such as 0.3`);
  }
  const retryDelaysMs = isBackoff(pauses)
    ? pauses.delaysMs(retries)
    : listOf(pauses).map((pause) => durationMs(pause, `retryDelay of ${subject}`));
  if (retryDelaysMs.length > MAX_RETRY_DELAYS) {
    throw new InvalidRetryPolicyError(
      subject,
      `${retryDelaysMs.length} pauses they list: give at most ${MAX_RETRY_DELAYS}, of which the last one repeats`,
    );
  }
  return {
    retries,
    retryDelaysMs,
    ...(retryJitter > 0 && { retryJitter }),
    ...(retryConditionally && { retryConditionally }),
  };
}

function isBackoff(pauses: Pauses): pauses is Backoff {
  return typeof pauses === 'object' && 'delaysMs' in pauses;
}

function listOf(pauses: Exclude<Pauses, Backoff>): readonly Duration[] {
  return typeof pauses === 'object' ? pauses : [pauses];
}
