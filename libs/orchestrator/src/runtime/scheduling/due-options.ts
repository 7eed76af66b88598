import { addMs, durationMs, instantOfMs, type Duration, type Instant } from '@nestor/core';
import { InvalidRunOptionError } from '../engine/new-run-options.js';

/** When a run may begin. */
export interface DueOptions {
  /** How long it waits before it may be executed. Default: not at all. */
  readonly in?: Duration;
  /** When it may be executed, in place of `in`; a time that is over means at once. */
  readonly at?: Date;
}

/**
 * When a run may begin, as of now.
 *
 * @param subject what is delayed, for messages.
 * @throws {InvalidRunOptionError} when both are given, or `at` is no time.
 * @throws {InvalidDurationError} when `in` is no duration.
 */
export function checkedDue({ in: pause, at }: DueOptions, subject: string): (now: Instant) => Instant {
  if (pause !== undefined && at !== undefined) {
    throw new InvalidRunOptionError('at', 'says when, and "in" says so too; give one of them.');
  }
  const atMs = at?.getTime();
  if (Number.isNaN(atMs)) throw new InvalidRunOptionError('at', 'is no valid date.');
  const pauseMs = pause === undefined ? 0 : durationMs(pause, `delay of ${subject}`);
  return (now) => (atMs === undefined ? addMs(now, pauseMs) : laterOf(now, instantOfMs(atMs)));
}

function laterOf(one: Instant, other: Instant): Instant {
  return one > other ? one : other;
}
