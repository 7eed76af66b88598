import { matchingDays } from './recurrence-days.js';
import type { RecurrenceRule } from './recurrence-rule.js';
import { countOfTimes, timeAt, type Times, timesFrom } from './times-of-day.js';
import {
  DAY_SECONDS,
  dateOf,
  dayOf,
  END_OF_TIME,
  firstDayOfMonth,
  firstDayOfYear,
  modulo,
  weekdayOf,
} from './wall-clock.js';
import type { Day, Wall } from './wall-clock.js';

/**
 * How many periods in a row may be without a time until a rule counts as ended: an hour that its interval never meets.
 * The days of such a search are looked at up to the end of time in any case, which takes some milliseconds.
 */
const MAX_IDLE_PERIODS = 20_000;

/**
 * The times of a rule from `from` on, ascending, whatever its `COUNT` says. It begins in the period of `from`, not at the
 * start of the rule.
 */
export function ruleWalls(rule: RecurrenceRule, from: Wall): Generator<Wall> {
  const first = Math.max(from, rule.start);
  return rule.frequency in PERIOD_SECONDS ? wallsOfTimes(rule, first) : wallsOfDays(rule, first);
}

/** Weeks, months and years: the days in them that match, at the times of the rule. */
function* wallsOfDays(rule: RecurrenceRule, from: Wall): Generator<Wall> {
  const fromDay = dayOf(from);
  const end = Math.min(rule.until + 1, END_OF_TIME);
  let idle = 0;
  for (let index = periodOf(rule, fromDay); idle <= MAX_IDLE_PERIODS; index++) {
    const [first, next] = daysOfPeriod(rule, index);
    if (first * DAY_SECONDS >= end) return;
    idle++;
    const walls =
      rule.positions === null
        ? timesOfDays(rule, matchingDays(rule, Math.max(first, fromDay), next), from)
        : atPositions(rule.positions, [...matchingDays(rule, first, next)], rule.times);
    for (const wall of walls) {
      if (wall < from) continue;
      if (wall >= end) return;
      idle = 0;
      yield wall;
    }
  }
}

function* timesOfDays({ times }: RecurrenceRule, days: Iterable<Day>, from: Wall): Generator<Wall> {
  for (const day of days) {
    const midnight = day * DAY_SECONDS;
    for (const time of timesFrom(times, Math.max(0, from - midnight))) yield midnight + time;
  }
}

/** The chosen ones among all times of all days, without making them all: 366 days have 31 million seconds. */
function atPositions(positions: readonly number[], days: readonly Day[], times: Times): Wall[] {
  const ofDay = countOfTimes(times);
  const size = days.length * ofDay;
  const chosen = new Set<Wall>();
  for (const position of positions) {
    const index = position > 0 ? position - 1 : size + position;
    if (index < 0 || index >= size) continue;
    chosen.add(days[Math.floor(index / ofDay)]! * DAY_SECONDS + timeAt(times, index % ofDay));
  }
  return [...chosen].sort((a, b) => a - b);
}

/** Which period of a rule a day at or after its start lies in. One that is skipped by the interval counts to the one before. */
function periodOf(rule: RecurrenceRule, day: Day): number {
  const startDay = dayOf(rule.start);
  const start = dateOf(startDay);
  const { year, month } = dateOf(day);
  switch (rule.frequency) {
    case 'YEARLY':
      return Math.floor((year - start.year) / rule.interval);
    case 'MONTHLY':
      return Math.floor(((year - start.year) * 12 + month - start.month) / rule.interval);
    default:
      return Math.floor((day - firstDayOfWeek(rule, startDay)) / (7 * rule.interval));
  }
}

/** Its first day, and the one after its last. */
function daysOfPeriod(rule: RecurrenceRule, index: number): readonly [first: Day, next: Day] {
  const startDay = dayOf(rule.start);
  const ahead = index * rule.interval;
  switch (rule.frequency) {
    case 'YEARLY': {
      const { year } = dateOf(startDay);
      return [firstDayOfYear(year + ahead), firstDayOfYear(year + ahead + 1)];
    }
    case 'MONTHLY': {
      const { year, month } = dateOf(startDay);
      return [firstDayOfMonth(year, month + ahead), firstDayOfMonth(year, month + ahead + 1)];
    }
    default: {
      const first = firstDayOfWeek(rule, startDay) + 7 * ahead;
      return [Math.max(first, startDay), first + 7]; // positions of the first week count from the start
    }
  }
}

function firstDayOfWeek({ weekStart }: RecurrenceRule, day: Day): Day {
  return day - modulo(weekdayOf(day) - weekStart, 7);
}

const PERIOD_SECONDS: Readonly<Record<string, number>> = {
  DAILY: DAY_SECONDS,
  HOURLY: 3_600,
  MINUTELY: 60,
  SECONDLY: 1,
};

/** Days, hours, minutes and seconds, at equal distances from the start; those that cannot match are jumped over. */
function* wallsOfTimes(rule: RecurrenceRule, from: Wall): Generator<Wall> {
  const unit = PERIOD_SECONDS[rule.frequency]!;
  const step = rule.interval * unit;
  const base = rule.start - modulo(rule.start, unit);
  const atOrAfter = (wall: Wall): Wall => base + Math.ceil((wall - base) / step) * step;
  const end = Math.min(rule.until + 1, END_OF_TIME);
  const days = matchingDays(rule, dayOf(from), dayOf(end) + 1);
  let matchingDay = -Infinity;
  let period = base + Math.floor((from - base) / step) * step;
  for (let idle = 0; period < end && idle <= MAX_IDLE_PERIODS; idle++) {
    const day = dayOf(period);
    while (matchingDay < day) {
      const next = days.next();
      if (next.done) return;
      matchingDay = next.value;
    }
    const time = period - day * DAY_SECONDS;
    if (matchingDay > day) {
      period = atOrAfter(matchingDay * DAY_SECONDS);
    } else if (unit < DAY_SECONDS && rule.hours !== null && !rule.hours.has(Math.floor(time / 3_600))) {
      period = atOrAfter(period - (time % 3_600) + 3_600);
    } else if (unit < 3_600 && rule.minutes !== null && !rule.minutes.has(Math.floor(time / 60) % 60)) {
      period = atOrAfter(period - (time % 60) + 60);
    } else if (unit === 1 && rule.seconds !== null && !rule.seconds.has(time % 60)) {
      period += step;
    } else {
      const { positions, times } = rule;
      const ahead = Math.max(0, from - period);
      for (const offset of positions === null ? timesFrom(times, ahead) : atPositions(positions, [0], times)) {
        const wall = period + offset;
        if (wall < from) continue;
        if (wall >= end) return;
        idle = 0;
        yield wall;
      }
      period += step;
    }
  }
}
