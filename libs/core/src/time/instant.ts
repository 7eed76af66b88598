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
  if (!match) throw notATimestamp(text);
  const [, year, month, day, hour, minute, second, fraction = '', offset = 'Z'] = match;
  const wallMs = wallClockMs(Number(year), Number(month), Number(day), Number(hour), Number(minute), Number(second));
  const aheadSeconds = offsetSeconds(offset);
  if (Number.isNaN(wallMs + aheadSeconds)) throw notATimestamp(text);
  return (wallMs * MICROS_PER_MS + Number(fraction.padEnd(6, '0')) - aheadSeconds * MICROS_PER_SECOND) as Instant;
}

/** `2026-11-22T04:55:48.123456Z`: always UTC, always six decimals, so that equal texts are equal instants. */
export function formatInstant(instant: Instant): string {
  const seconds = Math.floor(instant / MICROS_PER_SECOND);
  const micros = instant - seconds * MICROS_PER_SECOND;
  if (seconds !== lastSecond.seconds) {
    lastSecond = { seconds, text: new Date(seconds * 1_000).toISOString().slice(0, 19) };
  }
  return `${lastSecond.text}.${String(micros).padStart(6, '0')}Z`;
}

// States are written by the thousand, and most of a batch within the same second: its text is made once.
let lastSecond = { seconds: NaN, text: '' };

/** The `Date` of the millisecond an instant lies in, for libraries that want one. Loses what is finer. */
export function dateOfInstant(instant: Instant): Date {
  return new Date(Math.floor(instant / MICROS_PER_MS));
}

function notATimestamp(text: string): RangeError {
  return new RangeError(`"${text}" is not a timestamp such as 2026-11-22T04:55:48.123456Z.`);
}

/** The calendar repeats after 400 years. */
const CALENDAR_CYCLE_MS = 146_097 * 86_400_000;

/**
 * What the clock on a wall in Greenwich shows, in milliseconds; `NaN` when no clock ever shows it.
 * Second 60 is a leap second.
 */
function wallClockMs(year: number, month: number, day: number, hour: number, minute: number, second: number): number {
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60) return NaN;
  // One cycle later and back again: `Date.UTC` takes the years 0 to 99 for those of the twentieth century.
  const ms = Date.UTC(year + 400, month - 1, day, hour, minute, second) - CALENDAR_CYCLE_MS;
  if (day > 28 && new Date(Date.UTC(year + 400, month - 1, day)).getUTCDate() !== day) return NaN; // 30 February
  return ms;
}

/** Seconds that a clock of this offset is ahead of Greenwich; `NaN` when there is no such offset. */
function offsetSeconds(offset: string): number {
  if (offset === 'Z') return 0;
  const sign = offset.startsWith('-') ? -1 : 1;
  const digits = offset.slice(1).replace(/:/g, '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2, 4));
  const seconds = Number(digits.slice(4, 6));
  return hours > 23 || minutes > 59 || seconds > 59 ? NaN : sign * (hours * 3_600 + minutes * 60 + seconds);
}
