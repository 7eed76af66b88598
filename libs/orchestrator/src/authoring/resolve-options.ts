import { durationMs, OrchestratorError, type RetryPolicy } from '@nestor/core';
import type { FlowOptions, TaskOptions } from './flow.options.js';

/** An option of `@Flow()`, `@Task()` or the module has a value that cannot be meant. */
export class InvalidOptionError extends OrchestratorError {
  readonly code = 'INVALID_OPTION';

  constructor(
    /** `Class.method`, or `OrchestratorModule`. */
    readonly place: string,
    readonly option: string,
    problem: string,
  ) {
    super(`Option "${option}" of ${place} ${problem}`);
  }
}

/** Characters that the HTTP contract and its clients give a meaning of their own in names, and NUL, which no text column holds. */

const BANNED_IN_NAMES = /[/%&<>\0]/;
const MAX_NAME = 200;

/** The name of a definition. @throws {InvalidOptionError} when it is empty, too long, or has banned characters. */
export function resolvedName(name: string | undefined, fallback: string, place: string): string {
  if (name === undefined) return fallback;
  const problem =
    name.trim() === '' || name.length > MAX_NAME
      ? `must have 1 to ${MAX_NAME} characters.`
      : BANNED_IN_NAMES.test(name)
        ? `is ${JSON.stringify(name)} and must not contain any of / % & < > or NUL; use dashes.`
        : null;
  if (problem) throw new InvalidOptionError(place, 'name', problem);
  return name;
}

/**
 * The retry policy that options ask for.
 *
 * @throws {InvalidOptionError} when `retries` is no whole number from 0.
 * @throws {InvalidDurationError} when a delay is no duration.
 */
export function resolvedPolicy({ retries = 0, retryDelay }: FlowOptions | TaskOptions, place: string): RetryPolicy {
  if (!Number.isInteger(retries) || retries < 0) {
    throw new InvalidOptionError(place, 'retries', `is ${retries} and must be a whole number from 0.`);
  }
  const delays = typeof retryDelay === 'object' ? retryDelay : retryDelay === undefined ? [] : [retryDelay];
  return { retries, retryDelaysMs: delays.map((delay) => durationMs(delay, `retryDelay of ${place}`)) };
}

/** The time limit that options ask for. @throws {InvalidDurationError} when it is no duration. */
export function resolvedTimeoutMs({ timeout }: FlowOptions | TaskOptions, place: string): number | null {
  return timeout === undefined ? null : durationMs(timeout, `timeout of ${place}`);
}
