import { InvalidRRuleError } from './schedule-errors.js';
import type { Times } from './times-of-day.js';
import type { Wall } from './wall-clock.js';
import { wallOfText } from './wall-text.js';

/** From the longest period to the shortest. */
const FREQUENCIES = ['YEARLY', 'MONTHLY', 'WEEKLY', 'DAILY', 'HOURLY', 'MINUTELY', 'SECONDLY'] as const;
type Frequency = (typeof FREQUENCIES)[number];

const WEEKDAYS = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];

/** One `RRULE` or `EXRULE`, with what its start fills in. An absent restriction is null. */
export interface RecurrenceRule {
  readonly frequency: Frequency;
  readonly interval: number;
  readonly start: Wall;
  /** The last time there may be. */
  readonly until: Wall;
  readonly count: number | null;
  /** 0 is Sunday. */
  readonly weekStart: number;
  readonly months: ReadonlySet<number> | null;
  readonly monthDays: ReadonlySet<number> | null;
  readonly yearDays: ReadonlySet<number> | null;
  readonly weekNumbers: ReadonlySet<number> | null;
  readonly weekdays: ReadonlySet<number> | null;
  /** The second Friday is `{ weekday: 5, n: 2 }`, the last one `n: -1`: of the month, or of the year where no month is given. */
  readonly nthWeekdays: readonly { readonly weekday: number; readonly n: number }[] | null;
  readonly hours: ReadonlySet<number> | null;
  readonly minutes: ReadonlySet<number> | null;
  /** Within a period, which is a day, an hour, a minute or a second. */
  readonly times: Times;
  readonly seconds: ReadonlySet<number> | null;
  readonly positions: readonly number[] | null;
}

const NUMBERS: Readonly<Record<string, { readonly first: number; readonly last: number }>> = {
  INTERVAL: { first: 1, last: 1_000_000 },
  COUNT: { first: 1, last: Number.MAX_SAFE_INTEGER },
  BYMONTH: { first: 1, last: 12 },
  BYMONTHDAY: { first: -31, last: 31 },
  BYYEARDAY: { first: -366, last: 366 },
  BYWEEKNO: { first: -53, last: 53 },
  BYHOUR: { first: 0, last: 23 },
  BYMINUTE: { first: 0, last: 59 },
  BYSECOND: { first: 0, last: 59 },
  BYSETPOS: { first: -366, last: 366 },
};
const SINGLE = ['INTERVAL', 'COUNT', 'FREQ', 'UNTIL', 'WKST'];
const OTHERS = ['FREQ', 'UNTIL', 'WKST', 'BYDAY'];

/**
 * Reads the value of an `RRULE`. What is not given is taken from `start`, as RFC 5545 has it: the time of day, and the
 * day in a longer period.
 *
 * @throws {InvalidRRuleError}
 */
export function parseRecurrenceRule(text: string, start: Wall): RecurrenceRule {
  const parts = partsOf(text);
  const frequency = oneOf(FREQUENCIES, 'FREQ', parts.get('FREQ'));
  const rank = FREQUENCIES.indexOf(frequency);
  const at = new Date(start * 1_000);
  const set = (name: string): ReadonlySet<number> | null => {
    const values = numbersOf(name, parts.get(name));
    return values && new Set(values);
  };
  const days = weekdaysOf(parts.get('BYDAY'), rank <= FREQUENCIES.indexOf('MONTHLY'));
  const given = {
    months: set('BYMONTH'),
    monthDays: set('BYMONTHDAY'),
    yearDays: set('BYYEARDAY'),
    weekNumbers: set('BYWEEKNO'),
    ...days,
  };
  const hours = set('BYHOUR') ?? (rank < FREQUENCIES.indexOf('HOURLY') ? new Set([at.getUTCHours()]) : null);
  const minutes = set('BYMINUTE') ?? (rank < FREQUENCIES.indexOf('MINUTELY') ? new Set([at.getUTCMinutes()]) : null);
  const seconds = set('BYSECOND') ?? (frequency === 'SECONDLY' ? null : new Set([at.getUTCSeconds()]));
  const until = parts.get('UNTIL');
  return {
    frequency,
    interval: numbersOf('INTERVAL', parts.get('INTERVAL'))?.[0] ?? 1,
    start,
    until: until === undefined ? Infinity : wallOfText(until),
    count: numbersOf('COUNT', parts.get('COUNT'))?.[0] ?? null,
    weekStart: WEEKDAYS.indexOf(oneOf(WEEKDAYS, 'WKST', parts.get('WKST') ?? 'MO')),
    ...given,
    ...daysOfStart(frequency, given, at),
    hours,
    minutes,
    times: timesOfPeriod(frequency, hours, minutes, seconds),
    seconds,
    positions: numbersOf('BYSETPOS', parts.get('BYSETPOS')),
  };
}

type DayRules = Pick<RecurrenceRule, 'months' | 'monthDays' | 'yearDays' | 'weekNumbers' | 'weekdays' | 'nthWeekdays'>;

function daysOfStart(frequency: Frequency, given: DayRules, at: Date): Partial<DayRules> {
  const { months, monthDays, yearDays, weekNumbers, weekdays, nthWeekdays } = given;
  if (monthDays ?? yearDays ?? weekNumbers ?? weekdays ?? nthWeekdays) return {};
  switch (frequency) {
    case 'YEARLY':
      return { months: months ?? new Set([at.getUTCMonth() + 1]), monthDays: new Set([at.getUTCDate()]) };
    case 'MONTHLY':
      return { monthDays: new Set([at.getUTCDate()]) };
    case 'WEEKLY':
      return { weekdays: new Set([at.getUTCDay()]) };
    default:
      return {};
  }
}

/** What is longer than a period is not part of a time in it. */
function timesOfPeriod(frequency: Frequency, ...sets: (ReadonlySet<number> | null)[]): Times {
  const [hours, minutes, seconds] = sets.map((set) => (set === null ? [0] : [...set].sort((a, b) => a - b)));
  const rank = FREQUENCIES.indexOf(frequency);
  return {
    hours: rank < FREQUENCIES.indexOf('HOURLY') ? hours! : [0],
    minutes: rank < FREQUENCIES.indexOf('MINUTELY') ? minutes! : [0],
    seconds: frequency === 'SECONDLY' ? [0] : seconds!,
  };
}

function partsOf(text: string): Map<string, string> {
  const parts = new Map<string, string>();
  for (const part of text.split(';')) {
    if (part === '') continue;
    const [name, value, ...more] = part.split('=') as [string, string | undefined, ...string[]];
    if (value === undefined || value === '' || more.length > 0) {
      throw new InvalidRRuleError(part, 'is not of the form NAME=value');
    }
    if (!Object.hasOwn(NUMBERS, name) && !OTHERS.includes(name)) {
      throw new InvalidRRuleError(
        name,
        `is no part of a rule; there are ${[...OTHERS, ...Object.keys(NUMBERS)].join(', ')}`,
      );
    }
    if (parts.has(name)) throw new InvalidRRuleError(name, 'is given twice; join its values with commas');
    parts.set(name, value);
  }
  return parts;
}

function oneOf<T extends string>(values: readonly T[], name: string, value: string | undefined): T {
  const found = values.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  const remedy = `use one of ${values.join(', ')}`;
  if (value === undefined) throw new InvalidRRuleError(name, `is missing; ${remedy}`);
  throw new InvalidRRuleError(`${name}=${value}`, `is not known; ${remedy}`);
}

function numbersOf(name: string, text: string | undefined): number[] | null {
  if (text === undefined) return null;
  const { first, last } = NUMBERS[name]!;
  const values = text.split(',').map((part) => (/^[+-]?\d+$/.test(part) ? Number(part) : NaN));
  const wrong = values.findIndex((value) => !(value >= first && value <= last) || (value === 0 && first < 0));
  if (wrong >= 0) {
    const range = first < 0 ? `1 to ${last} or -1 to ${first}` : `${first} to ${last}`;
    throw new InvalidRRuleError(`${name}=${text}`, `is out of range; there are ${range}`);
  }
  if (values.length > 1 && SINGLE.includes(name)) throw new InvalidRRuleError(`${name}=${text}`, 'must be one number');
  return values;
}

/** `MO` is every Monday, `-1FR` the last Friday; in weeks and shorter periods the number means nothing. */
function weekdaysOf(text: string | undefined, numbered: boolean): Pick<RecurrenceRule, 'weekdays' | 'nthWeekdays'> {
  if (text === undefined) return { weekdays: null, nthWeekdays: null };
  const weekdays = new Set<number>();
  const nthWeekdays: { weekday: number; n: number }[] = [];
  for (const part of text.split(',')) {
    const match = /^([+-]?\d{1,2})?(SU|MO|TU|WE|TH|FR|SA)$/.exec(part);
    const n = Number(match?.[1] ?? NaN);
    if (!match || n === 0 || Math.abs(n) > 53) {
      throw new InvalidRRuleError(
        `BYDAY=${part}`,
        'is no day of the week; use MO, 2MO (the second) or -1MO (the last)',
      );
    }
    const weekday = WEEKDAYS.indexOf(match[2]!);
    if (match[1] === undefined || !numbered) weekdays.add(weekday);
    else nthWeekdays.push({ weekday, n });
  }
  return { weekdays: weekdays.size > 0 ? weekdays : null, nthWeekdays: nthWeekdays.length > 0 ? nthWeekdays : null };
}
