import type { Duration } from '../time/duration.js';
import type { Instant } from '../time/instant.js';

/** Times that a cron expression names, on the clocks of a time zone. */
export interface CronSchedule {
  readonly kind: 'cron';
  /**
   * Five fields (minute, hour, day of the month, month, day of the week), a sixth for seconds at the end,
   * or `@daily` and its like.
   */
  readonly cron: string;
  /** An IANA name, such as `Europe/Berlin`. */
  readonly timezone: string;
  /** Whether a day has to match one of its two fields or both, when both are restricted. */
  readonly dayOr: boolean;
}

/** Times at equal distances from an anchor, in both directions. */
export interface IntervalSchedule {
  readonly kind: 'interval';
  /** Milliseconds, at least 1000. Its whole days are days of the calendar, the rest is absolute time. */
  readonly intervalMs: number;
  readonly anchor: Instant;
  /** An IANA name, such as `Europe/Berlin`. */
  readonly timezone: string;
}

/** Times that recurrence rules of RFC 5545 name, on the clocks of a time zone. */
export interface RRuleSchedule {
  readonly kind: 'rrule';
  /** Lines `DTSTART`, `RRULE`, `RDATE`, `EXRULE`, `EXDATE`; `DTSTART` is always there. */
  readonly rrule: string;
  /** An IANA name, such as `Europe/Berlin`. */
  readonly timezone: string;
}

/**
 * When something is to happen, again and again: checked, complete, and plain data (it may be stored as JSON). Made by
 * {@link checkedSchedule}.
 */
export type Schedule = CronSchedule | IntervalSchedule | RRuleSchedule;

interface ScheduleZoneInput {
  /** An IANA name, such as `Europe/Berlin`. Default: `UTC`; of an RRULE whose `DTSTART` names a zone, that one. */
  readonly timezone?: string;
}

/** @example { cron: '0 9 * * 1-5', timezone: 'Europe/Berlin' } */
export interface CronScheduleInput extends ScheduleZoneInput {
  readonly cron: string;
  /** With both days restricted, does either suffice? Default: true, as in other crons. */
  readonly dayOr?: boolean;
}

/** @example { interval: '1h', anchor: '2026-01-01T00:30:00Z' } */
export interface IntervalScheduleInput extends ScheduleZoneInput {
  /** At least a second. */
  readonly interval: Duration;
  /** A time of the schedule, from which the others are counted: ISO 8601 with an offset, a `Date`, or an instant. */
  readonly anchor?: Instant | Date | string;
}

/** @example { rrule: 'RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0;BYSECOND=0', timezone: 'Europe/Berlin' } */
export interface RRuleScheduleInput extends ScheduleZoneInput {
  /**
   * A rule, or lines of rules and dates, of at most 6500 characters. Without `DTSTART` the rule counts from midnight of
   * 1 January 2020.
   */
  readonly rrule: string;
}

/** How one writes a schedule down. */
export type ScheduleInput = CronScheduleInput | IntervalScheduleInput | RRuleScheduleInput;
