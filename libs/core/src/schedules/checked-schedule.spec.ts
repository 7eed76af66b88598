import * as fc from 'fast-check';
import { OrchestratorError } from '../errors/orchestrator-error.js';
import { parseInstant } from '../time/instant.js';
import { checkedSchedule } from './checked-schedule.js';
import { instantsOf } from './instants-of.js';

const ANCHOR = parseInstant('2026-01-01T00:00:00Z');

function refused(input: unknown): { code: string; message: string } {
  try {
    checkedSchedule(input, ANCHOR);
  } catch (error) {
    if (error instanceof OrchestratorError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error(`${JSON.stringify(input)} was accepted`);
}

describe('checkedSchedule', () => {
  it.each([
    [{ cron: '0 9 * * 1-5' }, { kind: 'cron', cron: '0 9 * * 1-5', timezone: 'UTC', dayOr: true }],
    [
      { cron: '@daily', timezone: 'Europe/Berlin', dayOr: false },
      { kind: 'cron', cron: '@daily', timezone: 'Europe/Berlin', dayOr: false },
    ],
    [
      { cron: '@daily', timezone: 'europe/berlin' },
      { kind: 'cron', cron: '@daily', timezone: 'Europe/Berlin', dayOr: true },
    ],
    [
      { cron: '@daily', timezone: 'US/Eastern' },
      { kind: 'cron', cron: '@daily', timezone: 'US/Eastern', dayOr: true },
    ],
    [{ interval: '1h' }, { kind: 'interval', intervalMs: 3_600_000, anchor: ANCHOR, timezone: 'UTC' }],
    [
      { interval: 90_000, anchor: '2026-02-01T09:00:00.5+01:00' },
      { kind: 'interval', intervalMs: 90_000, anchor: parseInstant('2026-02-01T08:00:00.5Z'), timezone: 'UTC' },
    ],
    [
      { interval: '1d', anchor: new Date(0), timezone: undefined },
      { kind: 'interval', intervalMs: 86_400_000, anchor: 0, timezone: 'UTC' },
    ],
    [
      { rrule: 'FREQ=DAILY', timezone: 'Europe/Berlin' },
      { kind: 'rrule', rrule: 'DTSTART:20200101T000000\nFREQ=DAILY', timezone: 'Europe/Berlin' },
    ],
    [
      { rrule: 'DTSTART;TZID=Europe/Berlin:20260101T090000\nRRULE:FREQ=DAILY' },
      {
        kind: 'rrule',
        rrule: 'DTSTART;TZID=Europe/Berlin:20260101T090000\nRRULE:FREQ=DAILY',
        timezone: 'Europe/Berlin',
      },
    ],
  ])('completes %j, and leaves it as it is the second time', (input, expected) => {
    const schedule = checkedSchedule(input, ANCHOR);
    expect(schedule).toEqual(expected);
    expect(checkedSchedule(JSON.parse(JSON.stringify(schedule)), parseInstant('1999-01-01T00:00:00Z'))).toEqual(
      expected,
    );
  });

  it.each<[input: unknown, code: string, says: string]>([
    [null, 'INVALID_SCHEDULE', 'is no object'],
    ['0 9 * * *', 'INVALID_SCHEDULE', 'give one of { cron }, { interval } and { rrule }'],
    [{}, 'INVALID_SCHEDULE', 'is of no kind'],
    [{ cron: '@daily', interval: '1h' }, 'INVALID_SCHEDULE', 'is of two kinds (cron, interval)'],
    [
      { cron: '@daily', anchor: ANCHOR },
      'INVALID_SCHEDULE',
      'has a field "anchor" that a schedule of kind cron does not have',
    ],
    [{ cron: '@daily', day_or: true }, 'INVALID_SCHEDULE', '"day_or"'],
    [{ kind: 'rrule', cron: '@daily' }, 'INVALID_SCHEDULE', 'says that its kind is not cron'],
    [{ cron: 5 }, 'INVALID_SCHEDULE', 'a cron that is no text'],
    [{ cron: '@daily', dayOr: 1 }, 'INVALID_SCHEDULE', 'neither true nor false'],
    [{ rrule: [] }, 'INVALID_SCHEDULE', 'an rrule that is no text'],
    [{ interval: '1h', anchor: 'noon' }, 'INVALID_SCHEDULE', 'an anchor that is no time with an offset'],
    [{ interval: '1h', anchor: '2026-01-01T00:00:00' }, 'INVALID_SCHEDULE', 'an anchor that is no time with an offset'],
    [{ interval: '1h', anchor: new Date(NaN) }, 'INVALID_SCHEDULE', 'an anchor'],

    [
      { cron: '@daily', timezone: 'Mars/Olympus' },
      'UNKNOWN_TIME_ZONE',
      'There is no time zone "Mars/Olympus"; use an IANA name',
    ],
    [{ cron: '@daily', timezone: '+02:00' }, 'UNKNOWN_TIME_ZONE', '"+02:00"'],
    [{ cron: '@daily', timezone: '' }, 'UNKNOWN_TIME_ZONE', '""'],
    [{ interval: '1h', timezone: 3 }, 'UNKNOWN_TIME_ZONE', '3'],
    [{ rrule: 'DTSTART;TZID=Mars/Olympus:20260101T000000\nRRULE:FREQ=DAILY' }, 'UNKNOWN_TIME_ZONE', 'Mars/Olympus'],

    [{ cron: '' }, 'INVALID_CRON', 'must have five fields'],
    [{ cron: '* * * *' }, 'INVALID_CRON', 'it has 4'],
    [{ cron: '0 0 0 * * * 2027' }, 'INVALID_CRON', 'it has 7'],
    [{ cron: 'constructor' }, 'INVALID_CRON', 'it has 1'],
    [{ cron: '@__proto__' }, 'INVALID_CRON', 'is no alias'],
    [{ cron: '@reboot' }, 'INVALID_CRON', 'use one of @yearly'],
    [{ cron: '60 * * * *' }, 'INVALID_CRON', 'has "60" for the minute; there are 0 to 59'],
    [{ cron: '* 24 * * *' }, 'INVALID_CRON', '"24" for the hour'],
    [{ cron: '* * 0 * *' }, 'INVALID_CRON', '"0" for the day of the month; there are 1 to 31'],
    [{ cron: '* * * 13 *' }, 'INVALID_CRON', '"13" for the month; there are 1 to 12 and jan'],
    [{ cron: '* * * * 8' }, 'INVALID_CRON', '"8" for the day of the week'],
    [{ cron: '* * * * mo' }, 'INVALID_CRON', '"mo" for the day of the week'],
    [{ cron: '*/0 * * * *' }, 'INVALID_CRON', 'a step of 0'],
    [{ cron: '5-5 * * * *' }, 'INVALID_CRON', 'write "5" or "*"'],
    [{ cron: '-5 * * * *' }, 'INVALID_CRON', 'no value, range (1-5), step (*/5)'],
    [{ cron: '1,,2 * * * *' }, 'INVALID_CRON', 'has "" for the minute'],
    [{ cron: '*-5 * * * *' }, 'INVALID_CRON', 'has "*-5"'],
    [{ cron: '0 0 * * 5#6' }, 'INVALID_CRON', 'asks for week 6 of a month'],
    [{ cron: '0 0 15W * *' }, 'INVALID_CRON', '"15w"'],
    [{ cron: 'H * * * *' }, 'INVALID_CRON', 'times drawn by lot'],
    [{ cron: 'R(0-30) * * * *' }, 'INVALID_CRON', 'times drawn by lot'],
    [{ cron: '0 H/2 * * *' }, 'INVALID_CRON', 'times drawn by lot'],
    [{ cron: `${'1,'.repeat(600)}1 * * * *` }, 'INVALID_CRON', 'at most 1000'],
    [{ cron: '0 0 30 2 *' }, 'SCHEDULE_NEVER_FIRES', '"0 0 30 2 *" never fires'],
    [{ cron: '0 0 31 4,6,9,11 *' }, 'SCHEDULE_NEVER_FIRES', 'never fires'],

    [{ interval: 0 }, 'INVALID_INTERVAL', 'shorter than a second'],
    [{ interval: '999ms' }, 'INVALID_INTERVAL', 'shorter than a second; give at least a second'],
    [{ interval: -1_000 }, 'INVALID_INTERVAL', 'is no duration'],
    [{ interval: 'daily' }, 'INVALID_INTERVAL', '"daily"'],
    [{ interval: NaN }, 'INVALID_INTERVAL', 'is no duration'],
    [{ interval: '99999999d' }, 'INVALID_INTERVAL', 'longer than a century'],
    [{ interval: '1h', intervalMs: 5_000 }, 'INVALID_SCHEDULE', 'both interval and intervalMs'],

    [{ rrule: '' }, 'INVALID_RRULE', 'neither RRULE nor RDATE'],
    [{ rrule: 'DTSTART:20260101T000000' }, 'INVALID_RRULE', 'neither RRULE nor RDATE'],
    [{ rrule: 'every day' }, 'INVALID_RRULE', '"EVERY" is not of the form NAME=value'],
    [{ rrule: 'RRULE:INTERVAL=2' }, 'INVALID_RRULE', '"FREQ" is missing; use one of YEARLY'],
    [{ rrule: 'RRULE:FREQ=FORTNIGHTLY' }, 'INVALID_RRULE', '"FREQ=FORTNIGHTLY" is not known'],
    [{ rrule: 'RRULE:FREQ=DAILY;INTERVAL=0' }, 'INVALID_RRULE', '"INTERVAL=0" is out of range'],
    [{ rrule: 'RRULE:FREQ=DAILY;INTERVAL=1,2' }, 'INVALID_RRULE', 'must be one number'],
    [{ rrule: 'RRULE:FREQ=DAILY;BYHOUR=24' }, 'INVALID_RRULE', 'there are 0 to 23'],
    [{ rrule: 'RRULE:FREQ=DAILY;BYMONTHDAY=0' }, 'INVALID_RRULE', 'there are 1 to 31 or -1 to -31'],
    [{ rrule: 'RRULE:FREQ=DAILY;BYDAY=XX' }, 'INVALID_RRULE', '"BYDAY=XX" is no day of the week'],
    [{ rrule: 'RRULE:FREQ=DAILY;BYEASTER=0' }, 'INVALID_RRULE', '"BYEASTER" is no part of a rule'],
    [{ rrule: 'RRULE:FREQ=DAILY;FREQ=DAILY' }, 'INVALID_RRULE', 'is given twice'],
    [{ rrule: 'RRULE:FREQ=DAILY;UNTIL=soon' }, 'INVALID_RRULE', '"SOON" is no date'],
    [{ rrule: 'DTSTART:20260230T000000\nRRULE:FREQ=DAILY' }, 'INVALID_RRULE', '"20260230T000000" is no date'],
    [{ rrule: 'DTSTART:20260101\nDTSTART:20260102\nRRULE:FREQ=DAILY' }, 'INVALID_RRULE', 'a second DTSTART'],
    [{ rrule: 'SUMMARY:lunch\nRRULE:FREQ=DAILY' }, 'INVALID_RRULE', 'none of DTSTART, RRULE'],
    [{ rrule: 'EXDATE;RANGE=X:20260101\nRRULE:FREQ=DAILY' }, 'INVALID_RRULE', 'a parameter "RANGE=X"'],
    [
      { rrule: 'DTSTART;TZID=Europe/Berlin:20260101\nRRULE:FREQ=DAILY', timezone: 'UTC' },
      'INVALID_RRULE',
      'is not the time zone of the schedule, UTC',
    ],
    [
      { rrule: 'DTSTART;TZID=Europe/Berlin:20260101\nRRULE:FREQ=DAILY\nEXDATE;TZID=UTC:20260102' },
      'INVALID_RRULE',
      'names another zone than Europe/Berlin',
    ],
    [
      { rrule: `RRULE:FREQ=DAILY\nEXDATE:${'20260101,'.repeat(750)}20260101` },
      'RRULE_TOO_LARGE',
      'at most 6500 are allowed',
    ],
    [{ rrule: 'RRULE:FREQ=SECONDLY;COUNT=5000000' }, 'RRULE_TOO_LARGE', '5000000 times to COUNT, but at most 100000'],
    [{ rrule: 'RRULE:FREQ=DAILY\n'.repeat(21) }, 'RRULE_TOO_LARGE', '21 rules, but at most 20'],
    [{ rrule: 'RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30\n'.repeat(20) }, 'SCHEDULE_NEVER_FIRES', 'never fires'],
    [{ rrule: 'RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30' }, 'SCHEDULE_NEVER_FIRES', 'never fires'],
    [{ rrule: 'RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30' }, 'SCHEDULE_NEVER_FIRES', 'never fires'],
    [{ rrule: 'RRULE:FREQ=HOURLY;INTERVAL=24;BYHOUR=3' }, 'SCHEDULE_NEVER_FIRES', 'never fires'],
    [{ rrule: 'RRULE:FREQ=SECONDLY;INTERVAL=60;BYSECOND=30' }, 'SCHEDULE_NEVER_FIRES', 'never fires'],
    [{ rrule: 'RRULE:FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY' }, 'SCHEDULE_NEVER_FIRES', 'never fires'],
    [{ rrule: 'RRULE:FREQ=DAILY;UNTIL=20190101' }, 'SCHEDULE_NEVER_FIRES', 'never fires'],
  ])('refuses %j with %s', (input, code, says) => {
    const began = performance.now();
    const error = refused(input);
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
    expect(performance.now() - began).toBeLessThan(1_000); // looking for what is not there ends
  });

  it('accepts 6500 characters, and again when it has put a start in front of them', () => {
    const rrule = `RRULE:FREQ=DAILY\nEXDATE:${'20260101,'.repeat(718)}20260101`.padEnd(6_500);
    const schedule = checkedSchedule({ rrule }, ANCHOR);
    expect(checkedSchedule(schedule, ANCHOR)).toEqual(schedule);
  });

  const fields = fc.array(
    fc.oneof(
      fc.constantFrom('*', '?', 'L', '*/7', '5-2', 'mon-fri', '5#2', 'l5', '1,L', '59/3', 'H', '0', '31', 'feb', ','),
      fc.string({ maxLength: 3 }),
    ),
    { minLength: 4, maxLength: 7 },
  );
  const parts = fc.array(
    fc.oneof(
      fc.constantFrom(
        'FREQ=SECONDLY',
        'FREQ=DAILY',
        'FREQ=WEEKLY',
        'FREQ=MONTHLY',
        'FREQ=YEARLY',
        'INTERVAL=25',
        'COUNT=99999',
      ),
      fc.constantFrom(
        'BYMONTH=2',
        'BYMONTHDAY=30',
        'BYMONTHDAY=-31',
        'BYDAY=5MO',
        'BYDAY=-53SU',
        'BYWEEKNO=53',
        'BYYEARDAY=366',
      ),
      fc.constantFrom('BYHOUR=3', 'BYMINUTE=59', 'BYSECOND=0,1', 'BYSETPOS=366,-366', 'WKST=SU', 'UNTIL=20300101', ''),
      fc.string({ maxLength: 8 }),
    ),
    { minLength: 1, maxLength: 7 },
  );
  const lines = fc.array(
    fc.tuple(fc.constantFrom('RRULE:', 'RRULE:', 'EXRULE:', 'RDATE:20260301T0000,', 'EXDATE:', 'DTSTART:', ''), parts),
    { minLength: 1, maxLength: 3 },
  );

  it('accepts or refuses whatever it is given, in time, and what it accepts has instants', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.record({ cron: fields.map((of) => of.join(' ')), dayOr: fc.boolean() }),
          fc.record({ rrule: lines.map((of) => of.map(([name, given]) => name + given.join(';')).join('\n')) }),
          fc.record({
            interval: fc.oneof(fc.double(), fc.string()),
            anchor: fc.oneof(fc.double(), fc.string(), fc.date()),
          }),
          fc.anything(),
        ),
        (input) => {
          const began = performance.now();
          try {
            const schedule = checkedSchedule(input, ANCHOR);
            const since1970 = instantsOf(schedule, { from: parseInstant('1970-01-01T00:00:00Z'), limit: 1 });
            expect(since1970).toHaveLength(1);
          } catch (error) {
            expect(error).toBeInstanceOf(OrchestratorError);
          }
          expect(performance.now() - began).toBeLessThan(2_000);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
