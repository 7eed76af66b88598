import { durationMs, OrchestratorError, type Duration } from '@nestor/core';
import type { SlotRequest } from './slot-blocking.js';

/** How slots are taken at a rate. */
export interface RateLimitOptions {
  /** How many slots of each limit it takes; a whole number from 1. Default 1. */
  readonly occupy?: number;
  /** How long it waits for them at most; 0: not at all. Default: as long as it takes. */
  readonly timeout?: Duration;
  /** Whether a name that is not that of a limit is an error. Default: it is not limited, and a warning says so. */
  readonly strict?: boolean;
}

/** How slots are held. */
export interface ConcurrencyOptions extends RateLimitOptions {
  /**
   * How often it asks again when slots are not free, a whole number from 0, in the pauses that the limits suggest; 0 gives up
   * at once. Who asks like that does not stand in line. Default: it stands in line, and is given slots in its turn.
   */
  readonly maxRetries?: number;
  /**
   * A lease of their own for the slots, at least `1s`, which begins when they are granted and is renewed when three quarters of it
   * are over: they are free that long after the event loop of the process stood still, or an operator took them away. Default: none;
   * slots are held for as long as the process has its own lease.
   */
  readonly leaseDuration?: Duration;
  /**
   * What happens when the slots are lost while the code runs, and others may have them: `'warn'` says so in the log; `'abort'`
   * fires the signal besides, and the call rejects with {@link SlotsLostError} at once. Default `'warn'`.
   */
  readonly onLeaseLost?: 'warn' | 'abort';
}

/** An option of `concurrency()` or `rateLimit()` cannot be meant. */
export class InvalidSlotOptionError extends OrchestratorError {
  readonly code = 'INVALID_SLOT_OPTION';

  constructor(
    readonly option: string,
    problem: string,
  ) {
    super(`Option "${option}" of concurrency() or rateLimit() ${problem}.`);
  }
}

const MIN_LEASE_MS = 1_000;

/**
 * What is asked for by names and options.
 *
 * @throws {InvalidSlotOptionError} and {@link InvalidDurationError} when an option cannot be meant.
 */
export function slotRequest(
  names: string | readonly string[],
  options: number | ConcurrencyOptions,
  isRate = false,
): SlotRequest {
  const {
    occupy = 1,
    timeout,
    maxRetries,
    strict = false,
    leaseDuration,
    onLeaseLost = 'warn',
  }: ConcurrencyOptions = typeof options === 'number' ? { occupy: options } : options;
  const leaseMs = leaseDuration === undefined ? null : durationMs(leaseDuration, 'leaseDuration of concurrency()');
  if (leaseMs !== null && leaseMs < MIN_LEASE_MS)
    throw new InvalidSlotOptionError('leaseDuration', `is ${leaseMs} ms and must be at least ${MIN_LEASE_MS} ms`);
  return {
    names: checkedNames(names),
    slots: checkedCount('occupy', occupy, 1),
    isRate,
    isStrict: strict,
    timeoutMs: timeout === undefined ? null : durationMs(timeout, 'timeout of concurrency()'),
    maxRetries: maxRetries === undefined ? null : checkedCount('maxRetries', maxRetries, 0),
    leaseMs,
    onLeaseLost,
  };
}

function checkedNames(given: string | readonly string[]): readonly string[] {
  const names = [...new Set(typeof given === 'string' ? [given] : given)];
  if (names.length === 0 || names.some((name) => typeof name !== 'string' || name === '' || name.includes('\0')))
    throw new InvalidSlotOptionError(
      'names',
      `is ${JSON.stringify(given)} and must be the name of a limit, or several`,
    );
  return names;
}

/** The largest `integer` of PostgreSQL. */
const MAX_COUNT = 2_147_483_647;

function checkedCount(option: string, count: number, from: number): number {
  if (Number.isInteger(count) && count >= from && count <= MAX_COUNT) return count;
  throw new InvalidSlotOptionError(option, `is ${count} and must be a whole number from ${from}`);
}
