declare const instantBrand: unique symbol;

/**
 * A point in time: whole microseconds since 1970-01-01T00:00:00Z.
 *
 * PostgreSQL's `timestamptz` and the HTTP contract both count microseconds; a JavaScript `Date` counts milliseconds and
 * would lose the order of states that follow each other quickly. Microseconds stay exact in a `number` until the year
 * 2255, so instants compare with `<` and cost nothing to copy.
 */
export type Instant = number & { readonly [instantBrand]: 'Instant' };

const MICROS_PER_MS = 1_000;
const MICROS_PER_SECOND = 1_000_000;

/** `2026-11-22T04:55:48.123456Z`, and PostgreSQL's own `2026-11-22 04:55:48.123456+00`; zero to six decimals. */
const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d(?::?\d\d)?(?::\d\d)?)$/;

/** Wraps a count of microseconds since the epoch. */
export function instantOfMicros(micros: number): Instant {
  return Math.trunc(micros) as Instant;
}

/** Wraps a count of milliseconds since the epoch, such as `Date.now()` or `date.getTime()`. */
export function instantOfMs(ms: number): Instant {
  return Math.round(ms * MICROS_PER_MS) as Instant;
}

/** The instant `ms` milliseconds (may be negative or fractional) after `instant`. */
export function addMs(instant: Instant, ms: number): Instant {
  return (instant + Math.round(ms * MICROS_PER_MS)) as Instant;
}

/** The instant `micros` microseconds after `instant`. */
export function addMicros(instant: Instant, micros: number): Instant {
  return (instant + micros) as Instant;
}

/** Milliseconds from `from` to `to`; negative when `to` is earlier. */
export function msBetween(from: Instant, to: Instant): number {
  return (to - from) / MICROS_PER_MS;
}

/**
 * Reads a timestamp as PostgreSQL prints it or as ISO 8601 writes it, with any offset, keeping six decimals.
 *
 * @throws {RangeError} when the text is not such a timestamp.
 */
export function parseInstant(text: string): Instant {
  const match = TIMESTAMP.exec(text);
  if (!match) throw new RangeError(`"${text}" is not a timestamp such as 2026-11-22T04:55:48.123456Z.`);
  const [, year, month, day, hour, minute, second, fraction = '', offset = 'Z'] = match;
  const wallMs = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  return (wallMs * MICROS_PER_MS +
    Number(fraction.padEnd(6, '0')) -
    offsetSeconds(offset) * MICROS_PER_SECOND) as Instant;
}

/** `2026-11-22T04:55:48.123456Z`: always UTC, always six decimals, so that equal texts are equal instants. */
export function formatInstant(instant: Instant): string {
  const seconds = Math.floor(instant / MICROS_PER_SECOND);
  const micros = instant - seconds * MICROS_PER_SECOND;
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`;
}

/** The nearest `Date`, for libraries that want one. Loses what is finer than a millisecond. */
export function dateOfInstant(instant: Instant): Date {
  return new Date(Math.floor(instant / MICROS_PER_MS));
}

function offsetSeconds(offset: string): number {
  if (offset === 'Z') return 0;
  const sign = offset.startsWith('-') ? -1 : 1;
  const digits = offset.slice(1).replace(/:/g, '');
  return (
    sign * (Number(digits.slice(0, 2)) * 3_600 + Number(digits.slice(2, 4) || 0) * 60 + Number(digits.slice(4, 6) || 0))
  );
}
