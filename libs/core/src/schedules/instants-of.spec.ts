import * as fc from 'fast-check';
import { addMs, formatInstant, instantOfMs, parseInstant, type Instant } from '../time/instant.js';
import { checkedSchedule } from './checked-schedule.js';
import { instantsOf } from './instants-of.js';
import type { Schedule, ScheduleInput } from './schedule.js';

const ANCHOR = parseInstant('2026-01-01T00:00:00Z');
const DAY_MS = 86_400_000;

const schedule = (input: ScheduleInput): Schedule => checkedSchedule(input, ANCHOR);

function next(input: ScheduleInput, from: string, limit: number): string[] {
  return instantsOf(schedule(input), { from: parseInstant(from), limit }).map((instant) =>
    formatInstant(instant).replace(/(:00)?\.000000Z$/, ''),
  );
}

describe('cron', () => {
  const timezone = 'America/New_York';

  it.each<[what: string, cron: string, from: string, expected: string[]]>([
    ['moves a skipped time forward', '30 2 * * *', '2026-03-08T00:00:00Z', ['2026-03-08T07:30', '2026-03-09T06:30']],
    ['fires once for a repeated time', '30 1 * * *', '2026-11-01T00:00:00Z', ['2026-11-01T05:30', '2026-11-02T06:30']],
    [
      'merges what a gap brings together',
      '0 1-4 * * *',
      '2026-03-08T05:00:00Z',
      ['2026-03-08T06:00', '2026-03-08T07:00', '2026-03-08T08:00'],
    ],
    [
      'lets an hour out when clocks are put back',
      '0 * * * *',
      '2026-11-01T04:00:00Z',
      ['2026-11-01T04:00', '2026-11-01T05:00', '2026-11-01T07:00'],
    ],
    [
      'is in order around a gap',
      '0,45 2,3 * * *',
      '2026-03-08T06:00:00Z',
      ['2026-03-08T07:00', '2026-03-08T07:45', '2026-03-09T06:00'],
    ],
  ])('%s: %s [S01]', (_, cron, from, expected) => {
    expect(next({ cron, timezone }, from, expected.length)).toEqual(expected);
  });

  it('takes either day, or both [S01]', () => {
    const from = '2026-06-01T00:00:00Z';
    expect(next({ cron: '0 0 13 * fri' }, from, 3)).toEqual([
      '2026-06-05T00:00',
      '2026-06-12T00:00',
      '2026-06-13T00:00',
    ]);
    expect(next({ cron: '0 0 13 * fri', dayOr: false }, from, 2)).toEqual(['2026-11-13T00:00', '2027-08-13T00:00']);
  });

  it.each<[cron: string, expected: string[]]>([
    ['0 0 L * *', ['2026-02-28T00:00', '2026-03-31T00:00']],
    ['0 0 * * 5#2', ['2026-02-13T00:00', '2026-03-13T00:00']],
    ['0 0 * * L5', ['2026-02-27T00:00', '2026-03-27T00:00']],
    ['0 0 * * sat-mon', ['2026-02-01T00:00', '2026-02-02T00:00', '2026-02-07T00:00']],
    ['0 22-3/2 * * *', ['2026-02-01T00:00', '2026-02-01T02:00', '2026-02-01T22:00']],
    ['0 0 1 */6 *', ['2026-07-01T00:00', '2027-01-01T00:00']],
    ['0 0 29 2 *', ['2028-02-29T00:00', '2032-02-29T00:00']],
    ['50/20 * * * *', ['2026-02-01T00:50', '2026-02-01T01:50']],
    ['0 0 * * 7', ['2026-02-01T00:00', '2026-02-08T00:00']],
    ['0 0 ? * MON', ['2026-02-02T00:00', '2026-02-09T00:00']],
    ['  0   0 1 JAN *  ', ['2027-01-01T00:00', '2028-01-01T00:00']],
    ['@hourly', ['2026-02-01T00:00', '2026-02-01T01:00']],
    ['@midnight', ['2026-02-01T00:00', '2026-02-02T00:00']],
    ['@Weekly', ['2026-02-01T00:00', '2026-02-08T00:00']],
    ['@yearly', ['2027-01-01T00:00', '2028-01-01T00:00']],
    ['0 0 * * * 15,45', ['2026-02-01T00:00:15', '2026-02-01T00:00:45', '2026-02-02T00:00:15']],
  ])('reads %s', (cron, expected) => {
    expect(next({ cron }, '2026-02-01T00:00:00Z', expected.length)).toEqual(expected);
  });
});

describe('interval', () => {
  it.each<[what: string, input: ScheduleInput, from: string, expected: string[]]>([
    [
      'of a day keeps the time of day of its anchor',
      { interval: '1d', anchor: '2026-01-01T09:00:00-05:00', timezone: 'America/New_York' },
      '2026-03-07T00:00:00Z',
      ['2026-03-07T14:00', '2026-03-08T13:00', '2026-03-09T13:00'],
    ],
    [
      'of an hour keeps sixty minutes',
      { interval: '1h', anchor: '2026-01-01T00:30:00Z', timezone: 'America/New_York' },
      '2026-11-01T04:00:00Z',
      ['2026-11-01T04:30', '2026-11-01T05:30', '2026-11-01T06:30'],
    ],
    [
      'of a day and an hour adds the day on the calendar and the hour in time',
      { interval: '25h', anchor: '2026-03-07T09:00:00-05:00', timezone: 'America/New_York' },
      '2026-03-07T00:00:00Z',
      ['2026-03-07T14:00', '2026-03-08T14:00', '2026-03-09T15:00'],
    ],
    [
      'that falls into a gap is as much later as was skipped, and back the day after',
      { interval: '1d', anchor: '2026-01-01T02:30:00-05:00', timezone: 'America/New_York' },
      '2026-03-07T00:00:00Z',
      ['2026-03-07T07:30', '2026-03-08T07:30', '2026-03-09T06:30'],
    ],
    [
      'reaches back from an anchor in the future',
      { interval: '12h', anchor: '2030-01-01T06:00:00Z' },
      '2026-01-01T00:00:00Z',
      ['2026-01-01T06:00', '2026-01-01T18:00'],
    ],
    [
      'keeps what is finer than a second',
      { interval: '90s', anchor: '2026-01-01T00:00:00.25Z' },
      '2026-01-01T00:00:01Z',
      ['2026-01-01T00:01:30.250000Z', '2026-01-01T00:03:00.250000Z'],
    ],
  ])('%s [S02]', (_, input, from, expected) => {
    expect(next(input, from, expected.length)).toEqual(expected);
  });
});

describe('rrule', () => {
  const timezone = 'America/New_York';

  it.each<[what: string, rrule: string, from: string, expected: string[]]>([
    [
      'reads a skipped time on the clock put forward',
      'DTSTART:20260301T023000\nRRULE:FREQ=DAILY',
      '2026-03-08T00:00:00Z',
      ['2026-03-08T06:30', '2026-03-09T06:30'],
    ],
    [
      'fires once for a repeated time',
      'DTSTART:20260301T013000\nRRULE:FREQ=DAILY',
      '2026-11-01T00:00:00Z',
      ['2026-11-01T05:30', '2026-11-02T06:30'],
    ],
    [
      'leaves excluded dates out',
      'DTSTART:20260105T090000\nRRULE:FREQ=WEEKLY\nEXDATE:20260112T090000',
      '2026-01-01T00:00:00Z',
      ['2026-01-05T14:00', '2026-01-19T14:00'],
    ],
    [
      'leaves excluded rules out',
      'DTSTART:20260105T090000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY;BYDAY=TU,WE,TH',
      '2026-01-05T00:00:00Z',
      ['2026-01-05T14:00', '2026-01-09T14:00'],
    ],
    [
      'adds dates, in order',
      'DTSTART:20260105T090000\nRRULE:FREQ=WEEKLY\nRDATE:20260107T120000,20260106T120000',
      '2026-01-05T00:00:00Z',
      ['2026-01-05T14:00', '2026-01-06T17:00', '2026-01-07T17:00', '2026-01-12T14:00'],
    ],
    [
      'ends with UNTIL',
      'DTSTART:20260105T090000\nRRULE:FREQ=DAILY;UNTIL=20260107T090000',
      '2026-01-06T00:00:00Z',
      ['2026-01-06T14:00', '2026-01-07T14:00'],
    ],
    [
      'ends with COUNT, wherever it is entered',
      'DTSTART:20260105T090000\nRRULE:FREQ=DAILY;COUNT=3',
      '2026-01-06T00:00:00Z',
      ['2026-01-06T14:00', '2026-01-07T14:00'],
    ],
    [
      'counts from 2020 without a start',
      'FREQ=DAILY;INTERVAL=2;BYHOUR=9',
      '2026-01-01T00:00:00Z',
      ['2026-01-01T14:00', '2026-01-03T14:00'],
    ],
    [
      'takes the last of several weekdays',
      'RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYHOUR=17',
      '2026-01-01T00:00:00Z',
      ['2026-01-30T22:00', '2026-02-27T22:00'],
    ],
    [
      'joins every Monday and the first Friday',
      'RRULE:FREQ=MONTHLY;BYDAY=MO,1FR;BYHOUR=9',
      '2026-01-01T00:00:00Z',
      ['2026-01-02T14:00', '2026-01-05T14:00', '2026-01-12T14:00'],
    ],
  ])('%s [S03]', (_, rrule, from, expected) => {
    const until = parseInstant('2026-12-01T00:00:00Z');
    const instants = instantsOf(schedule({ rrule, timezone }), {
      from: parseInstant(from),
      until,
      limit: expected.length,
    });
    expect(instants.map((instant) => formatInstant(instant).slice(0, 16))).toEqual(expected);
  });

  it('ends', () => {
    expect(
      next({ rrule: 'DTSTART:20260105T090000\nRRULE:FREQ=DAILY;COUNT=3' }, '2026-01-01T00:00:00Z', 10),
    ).toHaveLength(3);
    expect(
      next({ rrule: 'DTSTART:20260105T090000\nRRULE:FREQ=DAILY;UNTIL=20260106' }, '2026-01-01T00:00:00Z', 10),
    ).toHaveLength(1);
    expect(next({ rrule: 'RDATE:20260105T090000' }, '2026-01-05T09:00:00.000001Z', 10)).toEqual([]);
  });
});

describe('windows', () => {
  it('have none before their beginning, none at their end, and no more than asked for', () => {
    const hourly = schedule({ cron: '@hourly' });
    const from = parseInstant('2026-01-01T00:00:00Z');
    expect(instantsOf(hourly, { from, until: addMs(from, 3 * 3_600_000), limit: 10 })).toHaveLength(3);
    expect(instantsOf(hourly, { from, until: from, limit: 10 })).toEqual([]);
    expect(instantsOf(hourly, { from, limit: 2 })).toEqual([from, addMs(from, 3_600_000)]);
    expect(instantsOf(hourly, { from, limit: 0 })).toEqual([]);
    expect(instantsOf(hourly, { from: addMs(from, 0.001), limit: 1 })).toEqual([addMs(from, 3_600_000)]);
  });

  it.each<[ScheduleInput]>([[{ cron: '0 0 * * *' }], [{ interval: '1d' }], [{ rrule: 'FREQ=DAILY' }]])(
    'of %j end in 2250',
    (input) => {
      const instants = instantsOf(schedule(input), { from: parseInstant('2249-12-30T12:00:00Z'), limit: 100 });
      expect(instants.map((instant) => formatInstant(instant).slice(0, 10))).toEqual(['2249-12-31']);
    },
  );

  it('take no longer far from where a schedule began', () => {
    const seconds = schedule({ rrule: 'DTSTART:19000101T000000\nRRULE:FREQ=SECONDLY;INTERVAL=7' });
    const began = performance.now();
    for (let year = 2000; year < 2200; year++) {
      expect(instantsOf(seconds, { from: instantOfMs(Date.UTC(year, 5)), limit: 3 })).toHaveLength(3);
    }
    expect(performance.now() - began).toBeLessThan(2_000); // counting from 1900 would take minutes
  });
});

const zones = fc.constantFrom(
  ...['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Casablanca', 'Europe/Dublin'],
  ...['America/St_Johns', 'Asia/Kathmandu', 'Pacific/Chatham', 'America/Havana', 'Pacific/Apia'],
);
const inputs: fc.Arbitrary<ScheduleInput> = fc.oneof(
  fc.record({
    cron: fc.constantFrom(
      '*/10 * * * *',
      '30 2 * * *',
      '0 1-4 * * *',
      '15 0,1,2,3 * * 0',
      '0 0 L * *',
      '0 3 1,15 * 1',
      '7 * * * * 30',
    ),
    dayOr: fc.boolean(),
    timezone: zones,
  }),
  fc.record({
    interval: fc.constantFrom('90s', '1h', '6h', '1d', '25h', '2d', '7d') as fc.Arbitrary<'1h'>,
    anchor: fc.integer({ min: Date.UTC(2019, 0), max: Date.UTC(2030, 0) }).map((ms) => instantOfMs(ms)),
    timezone: zones,
  }),
  fc.record({
    rrule: fc.constantFrom(
      'RRULE:FREQ=MINUTELY;INTERVAL=7',
      'DTSTART:20210317T013000\nRRULE:FREQ=HOURLY;INTERVAL=5',
      'RRULE:FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=0,30',
      'RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;BYHOUR=2\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1',
      'DTSTART:20220101T023000\nRRULE:FREQ=DAILY;COUNT=2000\nEXRULE:FREQ=WEEKLY;BYDAY=MO',
      'RRULE:FREQ=YEARLY;BYWEEKNO=1,20;BYDAY=MO;BYHOUR=3',
      'RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1',
    ),
    timezone: zones,
  }),
);
/** Often next to a change of clocks, which most zones above have at some hour of these days. */
const beginnings: fc.Arbitrary<Instant> = fc.oneof(
  fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2040, 0) }).map((ms) => instantOfMs(ms)),
  fc
    .tuple(
      fc.constantFrom('2026-03-08', '2026-03-29', '2026-10-25', '2026-11-01', '2026-04-05', '2026-02-15'),
      fc.integer({ min: -12, max: 30 }),
    )
    .map(([day, hour]) => addMs(parseInstant(`${day}T00:00:00Z`), hour * 3_600_000)),
);

describe('whatever the schedule, its instants', () => {
  it('ascend within the window, none twice', () => {
    fc.assert(
      fc.property(inputs, beginnings, fc.integer({ min: 1, max: 4 * DAY_MS }), (input, from, lengthMs) => {
        const until = addMs(from, lengthMs);
        const instants = instantsOf(schedule(input), { from, until, limit: 300 });
        expect(instants.every((instant, index) => index === 0 || instant > instants[index - 1]!)).toBe(true);
        expect(instants.every((instant) => instant >= from && instant < until)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('are those of two windows that meet', () => {
    fc.assert(
      fc.property(
        inputs,
        beginnings,
        fc.integer({ min: 0, max: DAY_MS }),
        fc.integer({ min: 0, max: 2 * DAY_MS }),
        (input, from, first, second) => {
          const middle = addMs(from, first);
          const until = addMs(middle, second);
          const of = (begin: Instant, end: Instant): Instant[] =>
            instantsOf(schedule(input), { from: begin, until: end, limit: 5_000 });
          expect([...of(from, middle), ...of(middle, until)]).toEqual(of(from, until));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('are the same from wherever one looks', () => {
    fc.assert(
      fc.property(inputs, beginnings, (input, from) => {
        const instants = instantsOf(schedule(input), { from, limit: 40 });
        instants.forEach((instant, index) => {
          expect(instantsOf(schedule(input), { from: instant, limit: 3 })).toEqual(
            instants.slice(index, index + 3).concat(
              instantsOf(schedule(input), {
                from: addMs(instants.at(-1)!, 0.001),
                limit: Math.max(0, index + 3 - instants.length),
              }),
            ),
          );
        });
      }),
      { numRuns: 200 },
    );
  });
});
