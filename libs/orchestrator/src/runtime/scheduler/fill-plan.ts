import { addMs, instantOfMicros, instantsOf, type Instant, type Schedule } from '@nestor/core';
import type { ScheduleCatchUp } from '../deployments/deployment-options.js';

/** What of a schedule decides which runs are made when. */
export interface FillableSchedule {
  readonly schedule: Schedule;
  readonly startsAt: Instant | null;
  readonly endsAt: Instant | null;
  readonly maxScheduledRuns: number | null;
  readonly catchUp: ScheduleCatchUp | null;
  readonly catchUpWindowMs: number | null;
  /** The last time that a run was made for, or that was passed over. */
  readonly filledUntil: Instant | null;
}

/** What is to be made of a schedule now, and when to look again. */
interface FillPlan {
  /** The times for which runs are to be made, in order. */
  readonly times: readonly Instant[];
  readonly filledUntil: Instant;
  /** `null` when there will never be anything to make. */
  readonly fillAt: Instant | null;
}

/** A time that passed longer ago than this while nobody made its run, or took it, was missed. */
export const MISSED_AFTER_MS = 60_000;

// The horizon of the contract: at least 3 runs and an hour ahead, at most 100 runs and 100 days.
const LEAST_RUNS = 3;
const MOST_RUNS = 100;
const LEAST_AHEAD_MS = 3_600_000;
const MOST_AHEAD_MS = 100 * 86_400_000;

/** How much further runs are made than they have to be: frequent schedules are filled several runs at a time. */
const SLACK_MS = 900_000;

/** Missed times that are caught up with at a time. */
const MOST_MISSED = 1_000;

/** Of a schedule of which every time was made up to `filledUntil`. */
export function fillPlan(schedule: FillableSchedule, now: Instant): FillPlan {
  const most = Math.min(MOST_RUNS, schedule.maxScheduledRuns ?? MOST_RUNS);
  const least = Math.min(LEAST_RUNS, most);
  const caughtUp = caughtUpTimes(schedule, now);
  if (caughtUp.goesOn) return { times: caughtUp.times, filledUntil: caughtUp.until, fillAt: now };

  const made = timesBetween(schedule, now, caughtUp.until, MOST_RUNS);
  const begin = made.at(-1) ?? laterOf(caughtUp.until, now);
  const overdue = timesBetween(schedule, caughtUp.until, now, MOST_MISSED);
  const candidates = timesBetween(schedule, begin, addMs(now, MOST_AHEAD_MS), Math.max(0, most - made.length));
  const ahead = [...made];
  for (const time of candidates) {
    const last = ahead.at(-1);
    if (ahead.length >= least && last !== undefined && last >= addMs(now, LEAST_AHEAD_MS + SLACK_MS)) break;
    ahead.push(time);
  }
  const filledUntil = ahead.at(-1) ?? laterOf(caughtUp.until, now);
  const [next] = timesBetween(schedule, filledUntil, null, 1);
  return {
    times: [...caughtUp.times, ...overdue, ...ahead.slice(made.length)],
    filledUntil,
    fillAt: next === undefined ? null : nextLook(ahead, next, { least, most }),
  };
}

/** When too few runs are left, or the last of them is too near; not before `next` is near enough to be made. */
function nextLook(
  ahead: readonly Instant[],
  next: Instant,
  { least, most }: { readonly least: number; readonly most: number },
): Instant {
  const nearEnough = addMs(next, -MOST_AHEAD_MS);
  const last = ahead.at(-1);
  if (last === undefined) return nearEnough;
  // Once half of the most that there may be have passed, so that a schedule of every second is not filled every second.
  const half = Math.max(0, Math.ceil(most / 2) - 1);
  const few = ahead[Math.max(0, ahead.length - least)] ?? last;
  if (ahead.length >= most) return earlierOf(ahead[half] ?? last, few);
  return laterOf(earlierOf(few, addMs(last, -LEAST_AHEAD_MS)), nearEnough);
}

/** Those of the missed times that are to be run, and up to where that was decided. */
function caughtUpTimes(
  schedule: FillableSchedule,
  now: Instant,
): { readonly times: readonly Instant[]; readonly until: Instant; readonly goesOn: boolean } {
  const { filledUntil, catchUp, catchUpWindowMs } = schedule;
  const border = addMs(now, -MISSED_AFTER_MS);
  const from = filledUntil ?? now;
  if (from >= border) return { times: [], until: from, goesOn: false };
  const windowed = catchUpWindowMs === null ? from : laterOf(from, addMs(now, -catchUpWindowMs));
  if (catchUp === 'all') {
    const times = timesBetween(schedule, windowed, border, MOST_MISSED);
    if (times.length === MOST_MISSED) return { times, until: times.at(-1) ?? border, goesOn: true };
    return { times, until: border, goesOn: false };
  }
  const latest = catchUp === 'latest' ? lastTimeBetween(schedule, windowed, border) : null;
  return { times: latest === null ? [] : [latest], until: border, goesOn: false };
}

/** The last time after `from` and up to `until`; looked for from the end, because there may be many. */
export function lastTimeBetween(schedule: FillableSchedule, from: Instant, until: Instant): Instant | null {
  for (let spanMs = LEAST_AHEAD_MS; ; spanMs *= 4) {
    const begin = laterOf(from, addMs(until, -spanMs));
    let last: Instant | null = null;
    for (let page = timesBetween(schedule, begin, until, MOST_MISSED); page.length > 0;) {
      last = page.at(-1) ?? last;
      page = page.length < MOST_MISSED || last === null ? [] : timesBetween(schedule, last, until, MOST_MISSED);
    }
    if (last !== null || begin <= from) return last;
  }
}

/** Times after `from` and up to `until`, within what the schedule says of its beginning and its end. */
export function timesBetween(
  { schedule, startsAt, endsAt }: Pick<FillableSchedule, 'schedule' | 'startsAt' | 'endsAt'>,
  from: Instant,
  until: Instant | null,
  limit: number,
): Instant[] {
  const first = laterOf(instantOfMicros(from + 1), startsAt ?? from);
  const ends = [...(until === null ? [] : [instantOfMicros(until + 1)]), ...(endsAt === null ? [] : [endsAt])];
  const [end] = ends.sort((one, other) => one - other);
  if (limit === 0 || (end !== undefined && end <= first)) return [];
  return instantsOf(schedule, { from: first, ...(end !== undefined && { until: end }), limit });
}

function laterOf(one: Instant, other: Instant): Instant {
  return one > other ? one : other;
}

function earlierOf(one: Instant, other: Instant): Instant {
  return one < other ? one : other;
}
