import { dateOf, daysOfMonth, daysOfYear, firstDayOfMonth, weekdayOf, yearOf } from './wall-clock.js';

describe('the calendar', () => {
  it('is that of the platform, for every day from 1995 to 2105', () => {
    const last = Date.UTC(2105, 0) / 86_400_000;
    for (let day = Date.UTC(1995, 0) / 86_400_000; day < last; day++) {
      const date = new Date(day * 86_400_000);
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + 1];
      const found = dateOf(day);
      // One comparison for each day would take longer than all the rest.
      if (
        found.year !== year ||
        found.month !== month ||
        found.date !== date.getUTCDate() ||
        weekdayOf(day) !== date.getUTCDay() ||
        yearOf(day) !== year
      ) {
        throw new Error(`${date.toISOString()} is taken for ${JSON.stringify(found)}`);
      }
    }
  });

  it.each([
    [2000, 2, 29, 366],
    [2100, 2, 28, 365],
    [2024, 2, 29, 366],
    [2026, 4, 30, 365],
  ])('knows %i-%i', (year, month, days, ofYear) => {
    expect(daysOfMonth(year, month)).toBe(days);
    expect(daysOfYear(year)).toBe(ofYear);
  });

  it('goes on beyond December', () => {
    expect(firstDayOfMonth(2026, 14)).toBe(firstDayOfMonth(2027, 2));
    expect(firstDayOfMonth(2026, 24)).toBe(firstDayOfMonth(2027, 12));
  });
});
