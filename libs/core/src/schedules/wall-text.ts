import { InvalidRRuleError } from './schedule-errors.js';
import { END_OF_TIME, type Wall } from './wall-clock.js';

const TEXT = /^(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d))?)?Z?$/;

/**
 * Reads `20260101T093000`, or `20260101` for its midnight. A `Z` is of no consequence: the times of a rule are those of
 * clocks in the zone of its schedule.
 *
 * @throws {InvalidRRuleError}
 */
export function wallOfText(text: string): Wall {
  const [, year, month, day, hour = '0', minute = '0', second = '0'] = TEXT.exec(text) ?? [];
  const ms = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  const read = new Date(ms);
  const exists =
    read.getUTCDate() === Number(day) && read.getUTCHours() === Number(hour) && read.getUTCMinutes() === Number(minute);
  if (!exists || Number(month) > 12 || Number(year) < 1900) {
    throw new InvalidRRuleError(text, 'is no date from 1900 on; write it as 20260101T093000');
  }
  return Math.min(ms / 1_000, END_OF_TIME);
}
