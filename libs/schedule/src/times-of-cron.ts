import { formatInstant, instantOfMs, type CronScheduleInput, type RRuleScheduleInput } from '@nestor/core';
import { cronOfNest } from './cron-of-nest.js';
import type { CronMetadata } from './nest-metadata.js';
import { zoneOfOffset } from './zone-of-offset.js';

type Fail = (problem: string) => never;

/**
 * The times that `@Cron()` names: those of an expression, or one alone.
 *
 * @throws what `fail` throws when they cannot be meant.
 */
export function timesOfCron(cron: CronMetadata, fail: Fail): CronScheduleInput | RRuleScheduleInput {
  const { cronTime } = cron;
  if (typeof cronTime !== 'string') return once(cronTime, fail);
  const expression = cronOfNest(cronTime, (problem) => fail(`is ${JSON.stringify(cronTime)}, which ${problem}`));
  return { cron: expression, timezone: timezoneOf(cron, fail) };
}

/** A `Date`, or a `DateTime` of luxon: the first whole second that is not before it. */
function once(time: unknown, fail: Fail): RRuleScheduleInput {
  const ms = Number(time);
  if (typeof time !== 'object' || !Number.isFinite(ms))
    return fail('has a time that is neither an expression nor a date');
  const second = instantOfMs(Math.ceil(ms / 1_000) * 1_000);
  const text = formatInstant(second).replace(/\.\d+/, '').replaceAll(/[-:]/g, '');
  return { rrule: `DTSTART:${text}\nRRULE:FREQ=DAILY;COUNT=1`, timezone: 'UTC' };
}

function timezoneOf({ timeZone, utcOffset }: CronMetadata, fail: Fail): string {
  if (timeZone !== undefined && timeZone !== null) {
    if (utcOffset !== undefined && utcOffset !== null) return fail('has both timeZone and utcOffset; give one of them');
    return typeof timeZone === 'string' ? timeZone : fail('has a timeZone that is no text');
  }
  // As with the package: the zone of the process. Processes of one application should be told the same.
  if (utcOffset === undefined || utcOffset === null) return new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zone = typeof utcOffset === 'number' ? zoneOfOffset(utcOffset) : null;
  return (
    zone ?? fail(`has the utcOffset ${JSON.stringify(utcOffset)}, which no time zone has all year; give a timeZone`)
  );
}
