import { checkedSchedule, dateOfInstant, instantOfMs, instantsOf } from '@nestor/core';
import { timesOfCron } from './times-of-cron.js';
import type { CronMetadata } from './nest-metadata.js';
import { zoneOfOffset } from './zone-of-offset.js';

const fail = (problem: string): never => {
  throw new Error(problem);
};

const timesOf = (cron: CronMetadata, limit = 3): string[] =>
  instantsOf(checkedSchedule(timesOfCron(cron, fail), instantOfMs(0)), {
    from: instantOfMs(Date.parse('2027-01-01T00:00:00Z')),
    limit,
  }).map((instant) => dateOfInstant(instant).toISOString());

describe('the times that @Cron() names', () => {
  it('are those of the zone that it names', () => {
    const [first] = timesOf({ cronTime: '0 30 9 * * *', timeZone: 'Asia/Tokyo' });
    expect(first).toBe('2027-01-01T00:30:00.000Z');
  });

  it('are those of the zone of the process where it names none', () => {
    const schedule = timesOfCron({ cronTime: '0 9 * * *' }, fail);
    expect(schedule.timezone).toBe(new Intl.DateTimeFormat().resolvedOptions().timeZone);
  });

  it.each([-720, -570, -210, -60, 0, 60, 270, 330, 345, 390, 525, 570, 840])(
    'count from an offset of %i minutes',
    (offset) => {
      const zone = zoneOfOffset(offset);
      if (zone === null) {
        expect(() => timesOf({ cronTime: '0 9 * * *', utcOffset: offset })).toThrow(/which no time zone has all year/);
        return;
      }
      const [first, , , , , , seventh] = timesOf({ cronTime: '0 9 2 * *', utcOffset: offset }, 7);
      const at = (year: number, month: number): string =>
        new Date(Date.UTC(year, month, 2, 9) - offset * 60_000).toISOString();
      expect([first, seventh]).toEqual([at(2027, 0), at(2027, 6)]);
    },
  );

  it('is one alone where it is a date, at the next whole second', () => {
    expect(timesOf({ cronTime: new Date('2027-03-04T05:06:07.001Z') })).toEqual(['2027-03-04T05:06:08.000Z']);
    expect(timesOf({ cronTime: { valueOf: () => Date.parse('2027-03-04T05:06:07Z') } })).toEqual([
      '2027-03-04T05:06:07.000Z',
    ]);
    expect(timesOf({ cronTime: new Date('2020-01-01T00:00:00Z') })).toEqual([]);
  });

  it.each<[string, CronMetadata, RegExp]>([
    ['no expression and no date', { cronTime: undefined }, /neither an expression nor a date/],
    ['a date that is none', { cronTime: new Date(NaN) }, /neither an expression nor a date/],
    ['two zones', { cronTime: '@daily', timeZone: 'UTC', utcOffset: 60 }, /both timeZone and utcOffset/],
    ['an offset that is no number', { cronTime: '@daily', utcOffset: '+01:00' }, /no time zone has all year/],
    ['an expression that cannot be read', { cronTime: 'at noon' }, /is "at noon", which has 2 fields/],
  ])('are refused where there is %s', (_, cron, problem) => {
    expect(() => timesOfCron(cron, fail)).toThrow(problem);
  });
});
