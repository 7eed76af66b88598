import { createRequire } from 'node:module';
import { checkedSchedule, dateOfInstant, instantOfMs, instantsOf } from '@nestor/core';
import { CronExpression } from '@nestjs/schedule';
import fc from 'fast-check';
import { cronOfNest } from './cron-of-nest.js';

/** The package that `@nestjs/schedule` itself works with. */
const { CronTime } = createRequire(require.resolve('@nestjs/schedule'))('cron') as {
  CronTime: new (expression: string) => {
    getNextDateFrom(from: Date, timeZone: string): { toJSDate(): Date };
  };
};

const FROM = new Date('2027-01-30T22:58:57Z');

const fail = (problem: string): never => {
  throw new Error(problem);
};

function theirTimes(expression: string, count: number): string[] {
  const time = new CronTime(expression);
  const times: Date[] = [];
  for (let last = FROM; times.length < count; times.push(last)) last = time.getNextDateFrom(last, 'UTC').toJSDate();
  return times.map((one) => one.toISOString());
}

function ourTimes(expression: string, count: number): string[] {
  const schedule = checkedSchedule({ cron: cronOfNest(expression, fail) }, instantOfMs(0));
  const times = instantsOf(schedule, { from: instantOfMs(FROM.getTime() + 1), limit: count });
  return times.map((one) => dateOfInstant(one).toISOString());
}

const OTHERS = [
  ...['@yearly', '@monthly', '@weekly', '@daily', '@hourly', '@minutely', '@secondly', '@weekdays', '@weekends'],
  ...[
    '*/7 */20 * * * *',
    '30 5 4 * * *',
    '5 4 * * *',
    '0 0 0 13 * 5',
    '0 0 0 1-31 * 1',
    '0 0 0 */1 * 1',
    '0 0 0 1 * */1',
  ],
  ...['0 0 0 * jan-mar,DEC Mon', '0 0 12 15 6 *', '0 0 8 * * 7', '0 0 8 * * 5-7', '0 0 8 * * 5/2', '0 10/20 5-5 * * *'],
];

describe('expressions of the cron package', () => {
  it.each([...new Set([...Object.values(CronExpression), ...OTHERS])])('name the same times here: %s', (expression) => {
    expect(ourTimes(expression, 6)).toEqual(theirTimes(expression, 6));
  });

  it('name the same times here, whatever they are', () => {
    const field = (first: number, last: number): fc.Arbitrary<string> => {
      const value = fc.integer({ min: first, max: last });
      const range = fc.tuple(value, value).map(([one, other]) => `${Math.min(one, other)}-${Math.max(one, other)}`);
      const step = fc.integer({ min: 1, max: last });
      const stepped = fc.tuple(fc.oneof(fc.constant('*'), value.map(String), range), step).map((all) => all.join('/'));
      const part = fc.oneof(fc.constant('*'), value.map(String), range, stepped);
      return fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','));
    };
    // Days that every month has: they search no more than eight years ahead.
    const days = [field(1, 28), field(1, 12), field(0, 7)] as const;
    const expressions = fc.tuple(field(0, 59), field(0, 59), field(0, 23), ...days).map((fields) => fields.join(' '));
    fc.assert(
      fc.property(expressions, (one) => expect(ourTimes(one, 4)).toEqual(theirTimes(one, 4))),
      { numRuns: 150 },
    );
  });

  it.each([
    ['', /no fields/],
    ['* * * *', /4 fields/],
    ['* * * * * * *', /7 fields/],
    ['60 * * * * *', /"60" for the second; there are 0 to 59/],
    ['0 0 0 1 8-6 *', /"8-6" for the month/],
    ['*/0 * * * * *', /step|names nothing/],
    ['0 0 0 L * *', /"l" for the day of the month/],
    ['now', /1 fields/],
  ])('are refused where they cannot be read: %j', (expression, problem) => {
    expect(() => cronOfNest(expression, fail)).toThrow(problem);
  });
});
