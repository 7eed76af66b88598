/**
 * What a clock on the wall shows, as whole seconds: those that had passed since 1970-01-01T00:00:00 if no clock was ever
 * put forward or back. Schedules name times of such clocks; a zone says which instants they are.
 */
export type Wall = number;

/** Days since 1970-01-01 of the calendar. */
export type Day = number;

export const DAY_SECONDS = 86_400;

/**
 * Nothing is scheduled from here on: 2250-01-01. Microseconds are exact in a number until 2255, and a search that finds
 * nothing has to end somewhere.
 */
export const END_OF_TIME: Wall = Date.UTC(2250, 0, 1) / 1_000;

interface CalendarDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly date: number;
}

const DAYS_BEFORE_MONTH = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_OF_MONTH = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

export function daysOfMonth(year: number, month: number): number {
  return month === 2 && isLeapYear(year) ? 29 : DAYS_OF_MONTH[month]!;
}

export function daysOfYear(year: number): number {
  return isLeapYear(year) ? 366 : 365;
}

/** The day on which a month begins. Months beyond 12 are those of later years. */
export function firstDayOfMonth(year: number, month: number): Day {
  const y = year + Math.floor((month - 1) / 12);
  const m = month - 12 * (y - year);
  return firstDayOfYear(y) + DAYS_BEFORE_MONTH[m]! + (m > 2 && isLeapYear(y) ? 1 : 0);
}

export function firstDayOfYear(year: number): Day {
  const past = year - 1;
  return 365 * (year - 1970) + Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400) - 477;
}

export function yearOf(day: Day): number {
  let year = 1970 + Math.floor(day / 365.2425);
  while (firstDayOfYear(year) > day) year--;
  while (firstDayOfYear(year + 1) <= day) year++;
  return year;
}

export function dateOf(day: Day): CalendarDate {
  const year = yearOf(day);
  let month = Math.min(12, 1 + Math.floor((day - firstDayOfYear(year)) / 28));
  while (firstDayOfMonth(year, month) > day) month--;
  return { year, month, date: day - firstDayOfMonth(year, month) + 1 };
}

/** 0 is Sunday. */
export function weekdayOf(day: Day): number {
  return modulo(day + 4, 7);
}

export function dayOf(wall: Wall): Day {
  return Math.floor(wall / DAY_SECONDS);
}

/** The remainder that has the sign of the divisor. */
export function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
