import { instantOfMicros, type Instant } from '../time/instant.js';
import type { IntervalSchedule } from './schedule.js';
import { DAY_SECONDS, END_OF_TIME } from './wall-clock.js';
import type { Zone } from './zone.js';
import { readAsShownBefore, wallOfSecond } from './zoned-instants.js';

const SECOND_MICROS = 1_000_000;
const DAY_MICROS = DAY_SECONDS * SECOND_MICROS;

interface Step {
  /** Whole days of the calendar: the clock on the wall shows the same again. */
  readonly days: number;
  /** What is left, in microseconds that pass. */
  readonly rest: number;
}

function stepOf({ intervalMs }: IntervalSchedule): Step {
  const micros = Math.round(intervalMs * 1_000);
  const days = Math.floor(micros / DAY_MICROS);
  return { days, rest: micros - days * DAY_MICROS };
}

/** `count` steps after `instant` (or before, when negative). In a gap the clock shows as much later as was skipped. */
function stepped(zone: Zone, instant: number, { days, rest }: Step, count: number): number {
  if (days === 0) return instant + count * rest;
  const second = Math.floor(instant / SECOND_MICROS);
  const wall = wallOfSecond(zone, second) + count * days * DAY_SECONDS;
  return readAsShownBefore(zone, wall) * SECOND_MICROS + (instant - second * SECOND_MICROS) + count * rest;
}

/** The instants of an interval from `from` on, ascending: each is counted from the anchor, so that none depends on `from`. */
export function* intervalInstants(schedule: IntervalSchedule, zone: Zone, from: Instant): Generator<Instant> {
  const step = stepOf(schedule);
  // Clocks are put forward and back by a day at most, and a step that can feel it is no shorter.
  let count = Math.floor((from - schedule.anchor) / (step.days * DAY_MICROS + step.rest)) - 2;
  for (let last = -Infinity; ; count++) {
    const instant = stepped(zone, schedule.anchor, step, count);
    if (instant >= END_OF_TIME * SECOND_MICROS) return;
    if (instant < from || instant <= last) continue;
    last = instant;
    yield instantOfMicros(instant);
  }
}

/**
 * The instants of an interval as a server has them that knows only where its window begins: from the anchor to the window
 * in absolute time, and from there step by step. They depend on `from`: after a change of clocks the same schedule shows
 * another time on the wall, and what a gap shifted stays shifted.
 */
export function* intervalInstantsFromWindow(schedule: IntervalSchedule, zone: Zone, from: Instant): Generator<Instant> {
  const step = stepOf(schedule);
  const length = step.days * DAY_MICROS + step.rest;
  let instant = schedule.anchor + Math.trunc((from - schedule.anchor) / length) * length;
  for (; instant < END_OF_TIME * SECOND_MICROS; instant = stepped(zone, instant, step, 1)) {
    if (instant >= from) yield instantOfMicros(instant);
  }
}
