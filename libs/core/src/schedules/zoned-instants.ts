import { DAY_SECONDS, type Wall } from './wall-clock.js';
import type { Zone } from './zone.js';

/** No wall clock is further from UTC. */
const MAX_OFFSET = 15 * 3_600;

/** Tells the second at which clocks show a time, where that is not one second. */
export type WallReading = (zone: Zone, wall: Wall) => number;

/**
 * The first of two seconds. A time that is skipped is read on a clock that nobody has put forward: half an hour into the
 * gap is half an hour after it began, when clocks show 03:30 in place of 02:30.
 */
export const readAsShownBefore: WallReading = (zone, wall) => {
  const { before, after } = offsetsAround(zone, wall);
  if (before === after || zone.offsetAt(wall - before) === before) return wall - before;
  return zone.offsetAt(wall - after) === after ? wall - after : wall - before;
};

/**
 * The first of two seconds. A time that is skipped is read on a clock that has been put forward already: 02:30 in the gap
 * is 01:30. Where standard time is that of the summer it is as above, and when clocks are put back there, the hour after
 * the repeated one is read on a clock that has not been put back yet.
 *
 * That is what dateutil makes of a rule: it takes clocks to change when they show a certain standard time.
 */
export function readAgainstStandardTime(standardInSummer: boolean): WallReading {
  return (zone, wall) => {
    const { before, after } = offsetsAround(zone, wall);
    if (before === after) return wall - before;
    const standard = standardInSummer ? Math.max(before, after) : Math.min(before, after);
    const repeated = Math.max(0, before - after);
    return wall - (zone.offsetAt(wall - standard - repeated) === before ? before : after);
  };
}

/** The offsets of a day or so around a time; they differ when clocks change then. */
function offsetsAround(zone: Zone, wall: Wall): { before: number; after: number } {
  return { before: zone.offsetAt(wall - MAX_OFFSET), after: zone.offsetAt(wall + MAX_OFFSET) };
}

/** What a clock shows at a second. */
export function wallOfSecond(zone: Zone, second: number): Wall {
  return second + zone.offsetAt(second);
}

/** No time that is shown at `second` or later is before this one, whatever the clocks were put to around then. */
export function earliestWall(zone: Zone, second: number): Wall {
  return (
    second +
    Math.min(zone.offsetAt(second - 2 * DAY_SECONDS), zone.offsetAt(second), zone.offsetAt(second + 2 * DAY_SECONDS))
  );
}

/**
 * The seconds at which clocks show the given times: ascending, none twice. Where clocks are put forward or back, times of
 * the wall come in another order than their instants do, so some are held until no earlier one can follow.
 */
export function* secondsOfWalls(zone: Zone, walls: Iterable<Wall>, read: WallReading): Generator<number> {
  const held: number[] = []; // ascending
  let last = -Infinity;
  for (const wall of walls) {
    const before = zone.offsetAt(wall - 2 * DAY_SECONDS);
    const after = zone.offsetAt(wall + 2 * DAY_SECONDS);
    const second = before === after ? wall - before : read(zone, wall);
    const floor = wall - Math.max(before, after); // of everything that is still to come
    if (held.length === 0 && second <= floor) {
      if (second > last) yield (last = second);
      continue;
    }
    insert(held, second);
    for (let first = held[0]; first !== undefined && first <= floor; first = held[0]) {
      held.shift();
      if (first > last) yield (last = first);
    }
  }
  for (const second of held) if (second > last) yield (last = second);
}

/** Almost always at the end: only in gaps times come out of order. */
function insert(ascending: number[], value: number): void {
  let index = ascending.length;
  while (index > 0 && ascending[index - 1]! > value) index--;
  ascending.splice(index, 0, value);
}
