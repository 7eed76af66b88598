import { durationMs, type Duration } from '../time/duration.js';
import { instantOfMs, parseInstant, type Instant } from '../time/instant.js';
import { firstWall } from './instants-of.js';
import { withStart } from './recurrence-set.js';
import type { CronSchedule, IntervalSchedule, RRuleSchedule, Schedule, ScheduleInput } from './schedule.js';
import {
  InvalidIntervalError,
  InvalidRRuleError,
  InvalidScheduleError,
  ScheduleNeverFiresError,
} from './schedule-errors.js';
import { checkedTimeZone } from './zone.js';

const SECOND_MS = 1_000;
const CENTURY_MS = 36_525 * 86_400_000;

/** The fields of all kinds: those that are written, and those that are stored. */
interface Fields {
  readonly kind?: unknown;
  readonly cron?: unknown;
  readonly dayOr?: unknown;
  readonly interval?: unknown;
  readonly intervalMs?: unknown;
  readonly anchor?: unknown;
  readonly rrule?: unknown;
  readonly timezone?: unknown;
}

const FIELDS: Readonly<Record<Schedule['kind'], readonly (keyof Fields)[]>> = {
  cron: ['cron', 'dayOr'],
  interval: ['interval', 'intervalMs', 'anchor'],
  rrule: ['rrule'],
};

/**
 * Checks a schedule, whoever wrote it, and completes it. A schedule that was checked before passes as it is.
 *
 * @param anchor of an interval that gives none: usually now.
 * @throws {InvalidScheduleError} when it is of no kind, of two, or has fields of another type or kind.
 * @throws {UnknownTimeZoneError} when this process does not know its zone.
 * @throws {InvalidCronError} {@link InvalidIntervalError} {@link InvalidRRuleError} when it cannot be read.
 * @throws {RRuleTooLargeError} when there are more than 6500 characters or 20 rules, or a `COUNT` beyond 100,000.
 * @throws {ScheduleNeverFiresError} when it names no time at all.
 */
export function checkedSchedule(input: ScheduleInput | Schedule, anchor: Instant): Schedule;
export function checkedSchedule(input: unknown, anchor: Instant): Schedule;
export function checkedSchedule(input: unknown, anchor: Instant): Schedule {
  if (typeof input !== 'object' || input === null) throw new InvalidScheduleError(input, 'is no object');
  const fields = input as Fields;
  switch (kindOf(fields)) {
    case 'cron':
      return checkedCron(fields);
    case 'interval':
      return checkedInterval(fields, anchor);
    case 'rrule':
      return checkedRRule(fields);
  }
}

function kindOf(fields: Fields): Schedule['kind'] {
  const given = (Object.keys(fields) as (keyof Fields)[]).filter((name) => fields[name] !== undefined);
  const kinds = (Object.keys(FIELDS) as Schedule['kind'][]).filter((kind) => {
    return given.includes(kind) || (kind === 'interval' && given.includes('intervalMs'));
  });
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    throw new InvalidScheduleError(
      fields,
      kind === undefined ? 'is of no kind' : `is of two kinds (${kinds.join(', ')})`,
    );
  }
  const strange = given.find((name) => !['kind', 'timezone', ...FIELDS[kind]].includes(name));
  if (strange !== undefined)
    throw new InvalidScheduleError(fields, `has a field "${strange}" that a schedule of kind ${kind} does not have`);
  if (fields.kind !== undefined && fields.kind !== kind)
    throw new InvalidScheduleError(fields, `says that its kind is not ${kind}`);
  return kind;
}

function checkedCron(fields: Fields): CronSchedule {
  const { cron, dayOr = true } = fields;
  if (typeof cron !== 'string') throw new InvalidScheduleError(fields, 'has a cron that is no text');
  if (typeof dayOr !== 'boolean') throw new InvalidScheduleError(fields, 'has a dayOr that is neither true nor false');
  const schedule: CronSchedule = { kind: 'cron', cron, timezone: checkedTimeZone(fields.timezone ?? 'UTC'), dayOr };
  if (firstWall(schedule) === undefined) throw new ScheduleNeverFiresError(cron);
  return schedule;
}

function checkedInterval(fields: Fields, anchor: Instant): IntervalSchedule {
  if (fields.interval !== undefined && fields.intervalMs !== undefined) {
    throw new InvalidScheduleError(fields, 'has both interval and intervalMs');
  }
  const interval = fields.interval ?? fields.intervalMs;
  let intervalMs: number;
  try {
    intervalMs = durationMs(interval as Duration, 'interval of a schedule');
  } catch {
    throw new InvalidIntervalError(interval, 'is no duration');
  }
  if (intervalMs < SECOND_MS) throw new InvalidIntervalError(interval, 'is shorter than a second');
  if (intervalMs > CENTURY_MS) throw new InvalidIntervalError(interval, 'is longer than a century');
  const timezone = checkedTimeZone(fields.timezone ?? 'UTC');
  return { kind: 'interval', intervalMs, anchor: anchorOf(fields, anchor), timezone };
}

function anchorOf(fields: Fields, fallback: Instant): Instant {
  const { anchor = fallback } = fields;
  const instant = anchor instanceof Date ? instantOfMs(anchor.getTime()) : anchor;
  if (typeof instant === 'number' && Number.isSafeInteger(instant)) return instant as Instant;
  try {
    if (typeof instant === 'string') return parseInstant(instant);
  } catch {
    // said below
  }
  throw new InvalidScheduleError(
    fields,
    'has an anchor that is no time with an offset, such as "2026-01-01T09:00:00+01:00"',
  );
}

function checkedRRule(fields: Fields): RRuleSchedule {
  if (typeof fields.rrule !== 'string') throw new InvalidScheduleError(fields, 'has an rrule that is no text');
  const { rrule, zone } = withStart(fields.rrule);
  const timezone = checkedTimeZone(fields.timezone ?? zone ?? 'UTC');
  if (zone !== null && checkedTimeZone(zone) !== timezone) {
    throw new InvalidRRuleError(
      `TZID=${zone}`,
      `is not the time zone of the schedule, ${timezone}; leave one of them out`,
    );
  }
  const schedule: RRuleSchedule = { kind: 'rrule', rrule, timezone };
  if (firstWall(schedule) === undefined) throw new ScheduleNeverFiresError(fields.rrule);
  return schedule;
}
