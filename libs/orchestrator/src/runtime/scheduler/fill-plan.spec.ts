import { addMs, checkedSchedule, formatInstant, parseInstant, type Instant, type ScheduleInput } from '@nestor/core';
import { fillPlan, lastTimeBetween, type FillableSchedule } from './fill-plan.js';

const NOW = parseInstant('2026-11-26T12:00:00.000000Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function schedule(input: ScheduleInput, more: Partial<FillableSchedule> = {}): FillableSchedule {
  return {
    schedule: checkedSchedule(input, NOW),
    startsAt: null,
    endsAt: null,
    maxScheduledRuns: null,
    catchUp: null,
    catchUpWindowMs: null,
    filledUntil: NOW,
    ...more,
  };
}

const short = (times: readonly (Instant | null)[]) =>
  times.map((time) => time && formatInstant(time).slice(0, 19).replace('2026-', ''));

describe('what is made of a schedule', () => {
  it('is three runs ahead, of a schedule that is rare', () => {
    const plan = fillPlan(schedule({ cron: '0 2 * * *' }), NOW);
    expect(short(plan.times)).toEqual(['11-27T02:00:00', '11-28T02:00:00', '11-29T02:00:00']);
    expect(plan.filledUntil).toBe(plan.times[2]);
    expect(plan.fillAt).toBe(plan.times[0]); // then there are two left
  });

  it('is an hour and somewhat more ahead, of a schedule that is frequent', () => {
    const plan = fillPlan(schedule({ cron: '* * * * *' }), NOW);
    expect(plan.times).toHaveLength(75);
    expect(plan.filledUntil).toBe(addMs(NOW, 75 * MINUTE));
    expect(plan.fillAt).toBe(addMs(NOW, 15 * MINUTE));
  });

  it('is 100 runs at most, and more when half of them have passed', () => {
    const plan = fillPlan(schedule({ interval: 1_000, anchor: NOW }), NOW);
    expect(plan.times).toHaveLength(100);
    expect(plan.fillAt).toBe(addMs(NOW, 50_000));
    const later = fillPlan(schedule({ interval: 1_000, anchor: NOW }, { filledUntil: plan.filledUntil }), plan.fillAt!);
    expect(later.times).toHaveLength(50);
    expect(later.times[0]).toBe(addMs(plan.filledUntil, 1_000));
  });

  it('is 100 days ahead at most, and the next is made when it is as near as that', () => {
    const plan = fillPlan(schedule({ cron: '0 0 1 1 *' }), NOW);
    expect(short(plan.times)).toEqual(['2027-01-01T00:00:00']);
    const next = parseInstant('2028-01-01T00:00:00.000000Z');
    expect(plan.fillAt).toBe(addMs(next, -100 * DAY));
  });

  it.each([1, 2, 3, 5])('is %i runs at most where the schedule says so', (maxScheduledRuns) => {
    const often = schedule({ cron: '* * * * *' }, { maxScheduledRuns });
    const plan = fillPlan(often, NOW);
    expect(plan.times).toHaveLength(maxScheduledRuns);
    const again = fillPlan({ ...often, filledUntil: plan.filledUntil }, plan.fillAt!);
    expect(again.times.length).toBeGreaterThan(0);
    const left = plan.times.filter((time) => time > plan.fillAt!).length;
    expect(left + again.times.length).toBeLessThanOrEqual(maxScheduledRuns);
  });

  it('is nothing more when there is enough', () => {
    const often = schedule({ cron: '* * * * *' });
    const { filledUntil } = fillPlan(often, NOW);
    expect(fillPlan({ ...often, filledUntil }, NOW).times).toEqual([]);
  });

  it('begins and ends when the schedule says so', () => {
    const startsAt = parseInstant('2026-12-01T00:00:00.000000Z');
    const plan = fillPlan(schedule({ cron: '0 2 * * *' }, { startsAt, endsAt: addMs(startsAt, 2 * DAY) }), NOW);
    expect(short(plan.times)).toEqual(['12-01T02:00:00', '12-02T02:00:00']);
    expect(plan.fillAt).toBeNull();
  });

  it('includes times that have passed a moment ago', () => {
    const plan = fillPlan(schedule({ cron: '* * * * *' }, { filledUntil: addMs(NOW, -50_000) }), addMs(NOW, 5_000));
    expect(short(plan.times.slice(0, 2))).toEqual(['11-26T12:00:00', '11-26T12:01:00']);
  });

  describe('of which times were missed', () => {
    const missed = (more: Partial<FillableSchedule>) => {
      const hourly = schedule({ cron: '0 * * * *' }, { filledUntil: addMs(NOW, -5 * HOUR - MINUTE), ...more });
      return short(fillPlan(hourly, addMs(NOW, 30 * MINUTE)).times).slice(0, -3);
    };

    it.each([[null], ['none'] as const])('%s: are those to come', (catchUp) => {
      expect(missed({ catchUp })).toEqual([]);
    });

    it('latest: are the last one besides', () => {
      expect(missed({ catchUp: 'latest' })).toEqual(['11-26T12:00:00']);
      expect(missed({ catchUp: 'latest', catchUpWindowMs: 20 * MINUTE })).toEqual([]);
    });

    it('all: are all of them besides, those that are too old left out', () => {
      expect(missed({ catchUp: 'all' })).toHaveLength(6);
      expect(missed({ catchUp: 'all', catchUpWindowMs: 2 * HOUR })).toEqual(['11-26T11:00:00', '11-26T12:00:00']);
    });

    it('all: are a thousand of them at a time, without a gap', () => {
      let often = schedule({ interval: 1_000, anchor: NOW }, { catchUp: 'all', filledUntil: NOW });
      const now = addMs(NOW, HOUR);
      const times: Instant[] = [];
      for (let passes = 0; passes < 4; passes += 1) {
        const plan = fillPlan(often, now);
        times.push(...plan.times);
        often = { ...often, filledUntil: plan.filledUntil };
        if (plan.fillAt !== now) break;
      }
      expect(times).toEqual(Array.from({ length: 3_700 }, (_, index) => addMs(NOW, (index + 1) * 1_000)));
    });
  });
});

describe('the last time of a schedule in a range', () => {
  it.each<[string, ScheduleInput, number, string | null]>([
    ['of every second', { interval: 1_000, anchor: NOW }, DAY, '11-26T12:00:00'],
    ['of every day', { cron: '0 2 * * *' }, 30 * DAY, '11-26T02:00:00'],
    ['of every year', { cron: '0 0 1 3 *' }, 300 * DAY, '03-01T00:00:00'],
    ['of which there is none', { cron: '0 0 1 3 *' }, 30 * DAY, null],
  ])('%s', (_, input, ms, expected) => {
    expect(short([lastTimeBetween(schedule(input), addMs(NOW, -ms), NOW)])).toEqual([expected]);
  });
});
