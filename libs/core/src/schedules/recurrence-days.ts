import type { RecurrenceRule } from './recurrence-rule.js';
import {
  dateOf,
  daysOfMonth,
  daysOfYear,
  firstDayOfMonth,
  firstDayOfYear,
  modulo,
  weekdayOf,
  yearOf,
} from './wall-clock.js';
import type { Day } from './wall-clock.js';

/** The days from `first` up to `end` (excluded) that a rule does not rule out, ascending. */
export function* matchingDays(rule: RecurrenceRule, first: Day, end: Day): Generator<Day> {
  if (!restrictsDays(rule)) {
    for (let day = first; day < end; day++) yield day;
    return;
  }
  if (first >= end) return;
  const begin = dateOf(first);
  let start = first - begin.date + 1;
  for (let ahead = begin.month; start < end; ahead++) {
    const year = begin.year + Math.floor((ahead - 1) / 12);
    const month = modulo(ahead - 1, 12) + 1;
    const length = daysOfMonth(year, month);
    if (rule.months === null || rule.months.has(month)) {
      const last = Math.min(length, end - start);
      const monthWeekday = weekdayOf(start);
      for (let date = Math.max(1, first - start + 1); date <= last; date++) {
        const weekday = (monthWeekday + date - 1) % 7;
        if (matches(rule, { day: start + date - 1, year, month, date, length, weekday })) yield start + date - 1;
      }
    }
    start += length;
  }
}

function restrictsDays({ months, monthDays, yearDays, weekNumbers, weekdays, nthWeekdays }: RecurrenceRule): boolean {
  return (months ?? monthDays ?? yearDays ?? weekNumbers ?? weekdays ?? nthWeekdays) !== null;
}

interface DayFacts {
  readonly day: Day;
  readonly year: number;
  readonly month: number;
  readonly date: number;
  /** Days of the month. */
  readonly length: number;
  readonly weekday: number;
}

function matches(rule: RecurrenceRule, facts: DayFacts): boolean {
  const { monthDays, yearDays, weekNumbers, weekdays, nthWeekdays } = rule;
  const { day, year, date, length, weekday } = facts;
  if (monthDays !== null && !monthDays.has(date) && !monthDays.has(date - length - 1)) return false;
  if (weekdays !== null || nthWeekdays !== null) {
    if (!weekdays?.has(weekday) && !(nthWeekdays !== null && isNthWeekday(rule, facts))) return false;
  }
  if (yearDays !== null) {
    const ofYear = day - firstDayOfYear(year) + 1;
    if (!yearDays.has(ofYear) && !yearDays.has(ofYear - daysOfYear(year) - 1)) return false;
  }
  if (weekNumbers !== null) {
    const { number, weeks } = weekOf(day, rule.weekStart);
    if (!weekNumbers.has(number) && !weekNumbers.has(number - weeks - 1)) return false;
  }
  return true;
}

function isNthWeekday({ frequency, months, nthWeekdays }: RecurrenceRule, facts: DayFacts): boolean {
  const ofYear = frequency === 'YEARLY' && months === null;
  const position = ofYear ? facts.day - firstDayOfYear(facts.year) : facts.date - 1;
  const length = ofYear ? daysOfYear(facts.year) : facts.length;
  const fromStart = Math.floor(position / 7) + 1;
  const fromEnd = -Math.floor((length - 1 - position) / 7) - 1;
  return nthWeekdays!.some(({ weekday, n }) => weekday === facts.weekday && (n === fromStart || n === fromEnd));
}

/** A week belongs to the year in which most of it lies, that is, its fourth day. */
function weekOf(day: Day, weekStart: number): { number: number; weeks: number } {
  const fourthDay = (ofWeek: Day): Day => ofWeek - modulo(weekdayOf(ofWeek) - weekStart, 7) + 3;
  const middle = fourthDay(day);
  const year = yearOf(middle);
  const first = firstDayOfYear(year);
  // 28 December is in the last week of its year, wherever weeks begin.
  const lastMiddle = fourthDay(firstDayOfMonth(year, 12) + 27);
  return { number: Math.floor((middle - first) / 7) + 1, weeks: Math.floor((lastMiddle - first) / 7) + 1 };
}
