import { matchingDays } from './recurrence-days.js';
import { isOfDays, type RecurrenceRule } from './recurrence-rule.js';
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
 * How many periods in a row may be without a time until a rule counts as ended. Days make 54 years; the jumps over what
 * a shorter period cannot match are periods too. It takes about 10 ms.
 */
const MAX_IDLE_PERIODS = 20_000;

/**
 * The times of a rule from `from` on, ascending, whatever its `COUNT` says. It begins in the period of `from`, not at the
 * start of the rule.
 */
export function ruleWalls(rule: RecurrenceRule, from: Wall): Generator<Wall> {
  const first = Math.max(from, rule.start);
  return isOfDays(rule.frequency) ? wallsOfDays(rule, first) : wallsOfTimes(rule, first);
}

/** Periods of days and longer: the days that match, at the times of the rule. */
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
        ? timesOfDays(rule, matchingDays(rule, Math.max(first, fromDay), next))
        : atPositions(rule.positions, [...matchingDays(rule, first, next)], rule.times);
    for (const wall of walls) {
      if (wall < from) continue;
      if (wall >= end) return;
      idle = 0;
      yield wall;
    }
  }
}

function* timesOfDays({ times }: RecurrenceRule, days: Iterable<Day>): Generator<Wall> {
  for (const day of days) for (const time of times) yield day * DAY_SECONDS + time;
}

/** The chosen ones among all times of all days, without making them all: 366 days have 31 million seconds. */
function atPositions(positions: readonly number[], days: readonly Day[], times: readonly number[]): Wall[] {
  const size = days.length * times.length;
  const chosen = new Set<Wall>();
  for (const position of positions) {
    const index = position > 0 ? position - 1 : size + position;
    if (index < 0 || index >= size) continue;
    chosen.add(days[Math.floor(index / times.length)]! * DAY_SECONDS + times[index % times.length]!);
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
    case 'WEEKLY':
      return Math.floor((day - firstDayOfWeek(rule, startDay)) / (7 * rule.interval));
    default:
      return Math.floor((day - startDay) / rule.interval);
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
    case 'WEEKLY': {
      const first = firstDayOfWeek(rule, startDay) + 7 * ahead;
      return [Math.max(first, startDay), first + 7]; // positions of the first week count from the start
    }
    default:
      return [startDay + ahead, startDay + ahead + 1];
  }
}

function firstDayOfWeek({ weekStart }: RecurrenceRule, day: Day): Day {
  return day - modulo(weekdayOf(day) - weekStart, 7);
}

/** Hours, minutes and seconds, at equal distances from the start; those that cannot match are jumped over. */
function* wallsOfTimes(rule: RecurrenceRule, from: Wall): Generator<Wall> {
  const unit = { HOURLY: 3_600, MINUTELY: 60 }[rule.frequency as string] ?? 1;
  const step = rule.interval * unit;
  const base = rule.start - modulo(rule.start, unit);
  const atOrAfter = (wall: Wall): Wall => base + Math.ceil((wall - base) / step) * step;
  const end = Math.min(rule.until + 1, END_OF_TIME);
  let matchedDay = NaN;
  let idle = 0;
  let period = base + Math.floor((from - base) / step) * step;
  while (period < end && idle <= MAX_IDLE_PERIODS) {
    idle++;
    const day = dayOf(period);
    if (day !== matchedDay && matchingDays(rule, day, day + 1).next().done) {
      period = atOrAfter((day + 1) * DAY_SECONDS);
      continue;
    }
    matchedDay = day;
    const time = period - day * DAY_SECONDS;
    if (rule.hours !== null && !rule.hours.has(Math.floor(time / 3_600))) {
      period = atOrAfter(period - (time % 3_600) + 3_600);
    } else if (unit < 3_600 && rule.minutes !== null && !rule.minutes.has(Math.floor(time / 60) % 60)) {
      period = atOrAfter(period - (time % 60) + 60);
    } else if (unit === 1 && rule.seconds !== null && !rule.seconds.has(time % 60)) {
      period += step;
    } else {
      const { positions, times } = rule;
      const walls = positions === null ? times : atPositions(positions, [0], times);
      for (const offset of walls) {
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
