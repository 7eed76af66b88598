import type { CronExpression } from './cron-expression.js';
import { timesFrom } from './times-of-day.js';
import { DAY_SECONDS, dateOf, dayOf, daysOfMonth, END_OF_TIME, firstDayOfMonth, weekdayOf } from './wall-clock.js';
import type { Wall } from './wall-clock.js';

/** The calendar has every combination of date and weekday within 40 years (28, and 12 more across 2100). */
const MAX_MONTHS_WITHOUT_MATCH = 50 * 12;

/** The times a cron expression names, ascending, from `from` on. It ends when nothing matches for fifty years. */
export function* cronWalls(cron: CronExpression, from: Wall): Generator<Wall> {
  const firstDay = dayOf(from);
  const { year, month } = dateOf(firstDay);
  let idleMonths = 0;
  for (let ahead = month - 1; idleMonths <= MAX_MONTHS_WITHOUT_MATCH; ahead++) {
    idleMonths++;
    const y = year + Math.floor(ahead / 12);
    const m = (ahead % 12) + 1;
    const start = firstDayOfMonth(y, m);
    if (start * DAY_SECONDS >= END_OF_TIME) return;
    if (!cron.months.includes(m)) continue;
    const length = daysOfMonth(y, m);
    const weekday = weekdayOf(start);
    for (let date = Math.max(1, firstDay - start + 1); date <= length; date++) {
      if (!matches(cron, date, length, (weekday + date - 1) % 7)) continue;
      idleMonths = 0;
      const midnight = (start + date - 1) * DAY_SECONDS;
      for (const time of timesFrom(cron, Math.max(0, from - midnight))) yield midnight + time;
    }
  }
}

function matches({ dates, weekdays, dayOr }: CronExpression, date: number, length: number, weekday: number): boolean {
  const onDate = dates === null || dates.dates.has(date) || (dates.last && date === length);
  if (weekdays === null) return onDate;
  if (dates !== null && dayOr && onDate) return true;
  if (!onDate && !(dates !== null && dayOr)) return false;
  if (weekdays.every.has(weekday)) return true;
  const week = Math.ceil(date / 7);
  return weekdays.nth.some((nth) => nth.weekday === weekday && (nth.n === -1 ? date + 7 > length : nth.n === week));
}
