import { OrchestratorError } from '../errors/orchestrator-error.js';

type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';

/** Milliseconds as a number, or a number with a unit: `'250ms'`, `'1.5s'`, `'10m'`, `'2h'`, `'7d'`. */
export type Duration = number | `${number}${DurationUnit}`;

const MS_PER_UNIT: Readonly<Record<DurationUnit, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** A duration that is negative, not finite, or written in a way that is not understood. */
export class InvalidDurationError extends OrchestratorError {
  readonly code = 'INVALID_DURATION';

  constructor(
    readonly value: unknown,
    /** What the duration is for, for example `timeout of flow "etl"`. */
    readonly subject: string,
  ) {
    super(
      `The ${subject} is ${typeof value === 'string' ? JSON.stringify(value) : String(value)}, which is not a duration; ` +
        `use milliseconds (90000) or a number with a unit (ms, s, m, h, d), such as "90s".`,
    );
  }
}

/**
 * The milliseconds of a duration.
 *
 * @param subject what the duration is for; it becomes part of the error message.
 * @throws {InvalidDurationError} when the value is negative, not finite, or not of the form above.
 */
export function durationMs(duration: Duration, subject: string): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration) && duration >= 0) return duration;
    throw new InvalidDurationError(duration, subject);
  }
  const match = typeof duration === 'string' ? DURATION.exec(duration) : null;
  const ms = match ? Number(match[1]) * MS_PER_UNIT[match[2] as DurationUnit] : NaN;
  if (!Number.isFinite(ms)) throw new InvalidDurationError(duration, subject);
  return Math.round(ms * 1_000) / 1_000; // whole microseconds: 1.005 s are 1004.9999999999999 ms in binary
}
