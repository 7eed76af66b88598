import { instantOfMicros, type Instant } from '../time/instant.js';
import { parseCron } from './cron-expression.js';
import { cronWalls } from './cron-walls.js';
import { intervalInstants, intervalInstantsFromWindow } from './interval-instants.js';
import { parseRecurrenceSet, setWalls } from './recurrence-set.js';
import { remembered } from './remembered.js';
import type { CronSchedule, RRuleSchedule, Schedule } from './schedule.js';
import { END_OF_TIME, type Wall } from './wall-clock.js';
import { zoneNamed, type Zones } from './zone.js';
import {
  earliestWall,
  readAgainstStandardTime,
  readAsShownBefore,
  secondsOfWalls,
  type WallReading,
} from './zoned-instants.js';

/** Which instants of a schedule are wanted. */
export interface ScheduleWindow {
  /** The first one that may be among them. */
  readonly from: Instant;
  /** The end, not among them. Windows that meet have no instant in common. Default: none. */
  readonly until?: Instant;
  /** At most so many. */
  readonly limit: number;
  /**
   * Where an interval of a day or more begins to count days of the calendar. Default: `anchor`, so that the instants are
   * the same whatever the window. With `window` it steps from the beginning of the window on, which it reaches from the
   * anchor in absolute time, as servers have it that keep no grid: the time of day then depends on when one asks.
   */
  readonly daysCountFrom?: 'anchor' | 'window';
}

/** Tens of thousands of ordinary expressions; 60 MB of the largest ones. */
const CHARACTERS = 2_000_000;

const crons = [true, false].map((dayOr) => remembered(CHARACTERS, (cron) => parseCron(cron, dayOr)));
const sets = remembered(CHARACTERS, parseRecurrenceSet);
const MICROS = 1_000_000;

/**
 * The instants of a schedule, ascending, none twice. It takes no longer to begin far from the start of a schedule, and
 * what can be read from an expression is read once.
 *
 * A wall clock that is put back shows some times twice: they count once, the first time. What a schedule says of times
 * that are skipped is in docs/schedules.md. There are none from the year 2250 on.
 *
 * @param zones where time zones are found. Default: what the runtime knows.
 * @throws {UnknownTimeZoneError} and the errors of {@link checkedSchedule}, of a schedule that was not checked here.
 * @example instantsOf(schedule, { from: now, until: addMs(now, 3_600_000), limit: 100 })
 */
export function instantsOf(schedule: Schedule, window: ScheduleWindow, zones: Zones = zoneNamed): Instant[] {
  const { until = END_OF_TIME * MICROS, limit } = window;
  const instants: Instant[] = [];
  if (!(limit > 0)) return instants;
  for (const instant of allInstants(schedule, window, zones)) {
    if (instant >= until) break;
    if (instants.push(instant) >= limit) break;
  }
  return instants;
}

function* allInstants(schedule: Schedule, { from, daysCountFrom }: ScheduleWindow, zones: Zones): Generator<Instant> {
  const zone = zones(schedule.timezone);
  if (schedule.kind === 'interval') {
    yield* daysCountFrom === 'window'
      ? intervalInstantsFromWindow(schedule, zone, from)
      : intervalInstants(schedule, zone, from);
    return;
  }
  const fromSecond = Math.ceil(from / MICROS);
  const walls = wallsFrom(schedule, earliestWall(zone, fromSecond));
  for (const second of secondsOfWalls(zone, walls, readingOf(schedule))) {
    if (second >= fromSecond) yield instantOfMicros(second * MICROS);
  }
}

/** The first time that a schedule names, since 1970 or since it begins; undefined when it names none. */
export function firstWall(schedule: CronSchedule | RRuleSchedule): Wall | undefined {
  const walls = wallsFrom(schedule, schedule.kind === 'cron' ? 0 : -Infinity);
  return walls.next().value as Wall | undefined;
}

function wallsFrom(schedule: CronSchedule | RRuleSchedule, from: Wall): Generator<Wall> {
  if (schedule.kind === 'rrule') return setWalls(sets(schedule.rrule), from);
  return cronWalls(crons[schedule.dayOr ? 0 : 1]!(schedule.cron), from);
}

/**
 * Zones whose winter time is the deviation and summer time the standard, with the time up to which they have it that way:
 * Ireland, and Morocco, which has put its clocks back for Ramadan until 2026.
 */
const STANDARD_IN_SUMMER: Readonly<Record<string, Wall>> = {
  'Africa/Casablanca': Date.UTC(2026, 8) / 1_000,
  'Africa/El_Aaiun': Date.UTC(2026, 8) / 1_000,
  Eire: Infinity,
  'Europe/Dublin': Infinity,
};

const readRule = readAgainstStandardTime(false);
const readRuleOfStandardSummer = readAgainstStandardTime(true);

/**
 * Cron and rules differ in what they make of times that are skipped, as croniter and dateutil do: those who speak to us
 * over the wire expect either. RFC 5545 has rules do as cron does.
 */
function readingOf({ kind, timezone }: Schedule): WallReading {
  if (kind !== 'rrule') return readAsShownBefore;
  const end = STANDARD_IN_SUMMER[timezone];
  if (end === undefined) return readRule;
  return (zone, wall) => (wall < end ? readRuleOfStandardSummer : readRule)(zone, wall);
}
