import { InvalidCronError } from './schedule-errors.js';
import type { Times } from './times-of-day.js';

/** A cron expression, read. */
export interface CronExpression extends Times {
  /** 1 to 12, ascending. */
  readonly months: readonly number[];
  readonly dates: CronDates | null;
  readonly weekdays: CronWeekdays | null;
  /** Whether one of `dates` and `weekdays` suffices, when there are both. */
  readonly dayOr: boolean;
}

/** Days of the month; `null` above means every day. */
interface CronDates {
  readonly dates: ReadonlySet<number>;
  /** `L` */
  readonly last: boolean;
}

/** Days of the week, 0 is Sunday; `null` above means every day. */
interface CronWeekdays {
  readonly every: ReadonlySet<number>;
  /** `5#2` is the second Friday of the month, `L5` the last one (-1). */
  readonly nth: readonly { readonly weekday: number; readonly n: number }[];
}

interface Field {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  /** Names of values, from `first` on. */
  readonly names?: readonly string[];
}

const MINUTE: Field = { name: 'minute', first: 0, last: 59 };
const HOUR: Field = { name: 'hour', first: 0, last: 23 };
const DATE: Field = { name: 'day of the month', first: 1, last: 31 };
const MONTH_NAMES = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH: Field = { name: 'month', first: 1, last: 12, names: MONTH_NAMES };
const WEEKDAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const WEEKDAY: Field = { name: 'day of the week', first: 0, last: 6, names: WEEKDAY_NAMES };
const SECOND: Field = { name: 'second', first: 0, last: 59 };

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);

const MAX_LENGTH = 1_000;

/**
 * Reads a cron expression in the dialect of Python's croniter: five fields, or six with the seconds at the end; lists,
 * ranges (also across the end: `sat-mon`), steps, names, `?`, `L` (last day of the month), `5#2` and `L5` (second and last
 * Friday of the month), and the aliases from `@hourly` to `@yearly`.
 *
 * @throws {InvalidCronError}
 */
export function parseCron(cron: string, dayOr: boolean): CronExpression {
  const fail = (problem: string): never => {
    throw new InvalidCronError(cron, problem);
  };
  if (cron.length > MAX_LENGTH) fail(`has ${cron.length} characters; at most ${MAX_LENGTH} are allowed`);
  const text = cron.trim().toLowerCase();
  if (text.startsWith('@') && !ALIASES.has(text)) {
    fail(`is no alias that is known; use one of ${[...ALIASES.keys()].join(', ')}, or five fields`);
  }
  const fields = (ALIASES.get(text) ?? text).split(/\s+/);
  if (fields.length !== 5 && fields.length !== 6) {
    const found = text === '' ? 'none' : fields.length;
    fail(
      `must have five fields (minute, hour, day of the month, month, day of the week), or six with seconds at the end; it has ${found}`,
    );
  }
  const [minute, hour, date, month, weekday, second = '0'] = fields as [...FiveFields, string?];
  return {
    seconds: valuesOf(SECOND, second, fail),
    minutes: valuesOf(MINUTE, minute, fail),
    hours: valuesOf(HOUR, hour, fail),
    months: valuesOf(MONTH, month, fail),
    dates: datesOf(date, weekday, fail),
    weekdays: weekdaysOf(weekday, date, fail),
    dayOr,
  };
}

type FiveFields = [string, string, string, string, string];
type Fail = (problem: string) => never;

/** A field that lists everything restricts nothing, if the other one has a star; else both do, and every day matches. */
function restrictsNothing(values: number, field: Field, text: string, other: string): boolean {
  return isStar(text) || (values === field.last - field.first + 1 && (other.includes('*') || other === '?'));
}

const isStar = (text: string): boolean => text === '?' || text.split(',').includes('*');

function datesOf(text: string, weekday: string, fail: Fail): CronDates | null {
  const parts = text.split(',');
  const days = parts.filter((part) => part !== 'l').map((part) => part.replace(/-l(?=$|\/)/, '-31'));
  const values = days.length > 0 ? valuesOf(DATE, text === '?' ? '*' : days.join(','), fail) : [];
  if (restrictsNothing(values.length, DATE, text, weekday)) return null;
  return { dates: new Set(values), last: days.length < parts.length };
}

function weekdaysOf(text: string, date: string, fail: Fail): CronWeekdays | null {
  const every = new Set<number>();
  const nth: { weekday: number; n: number }[] = [];
  for (const part of (text === '?' ? '*' : text).split(',')) {
    const [, last, days, n] = /^(?:l(\d+)|(.+)#(\d+))$/.exec(part) ?? [];
    if (n !== undefined && (Number(n) < 1 || Number(n) > 5)) {
      fail(`asks for week ${n} of a month with "${part}"; there are 1 to 5`);
    }
    for (const weekday of valuesOf(WEEKDAY, last ?? days ?? part, fail)) {
      if (last !== undefined || days !== undefined) nth.push({ weekday, n: last === undefined ? Number(n) : -1 });
      else every.add(weekday);
    }
  }
  return restrictsNothing(every.size, WEEKDAY, text, date) ? null : { every, nth };
}

/** The values of one field, ascending. */
function valuesOf(field: Field, text: string, fail: Fail): number[] {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    if (/^[hr](\(.*\))?(\/\d+)?$/.test(part)) {
      fail(
        `has "${part}" for the ${field.name}: times drawn by lot (H, R) are not supported; write the value, or use jitter`,
      );
    }
    const match = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part);
    if (!match || (match[1] === '*' && match[2] !== undefined)) {
      return fail(`has "${part}" for the ${field.name}, which is no value, range (1-5), step (*/5) or list of them`);
    }
    const [, from, to, every] = match;
    const step = Number(every ?? 1);
    if (step === 0) fail(`has a step of 0 for the ${field.name}; use 1 or more`);
    const size = field.last - field.first + 1;
    const low = from === '*' ? field.first : valueOf(field, from!, fail);
    let high = low;
    if (to !== undefined) high = valueOf(field, to, fail);
    else if (from === '*' || every !== undefined) high = field.last;
    if (to !== undefined && low === high) {
      fail(
        `has the range "${part}" for the ${field.name}, which some crons read as one value and some as all; write "${from}" or "*"`,
      );
    }
    const length = high >= low ? high - low : high - low + size; // sat-mon goes across the end
    for (let ahead = 0; ahead <= length; ahead += step) values.add(field.first + ((low - field.first + ahead) % size));
  }
  return [...values].sort((a, b) => a - b);
}

function valueOf(field: Field, text: string, fail: Fail): number {
  const name = field.names?.indexOf(text) ?? -1;
  if (name >= 0) return field.first + name;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (field === WEEKDAY && value === 7) return 0;
  if (value >= field.first && value <= field.last) return value;
  return fail(
    `has "${text}" for the ${field.name}; there are ${field.first} to ${field.last}${field.names ? ` and ${field.names.join(', ')}` : ''}`,
  );
}
