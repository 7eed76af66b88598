import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkedSchedule, instantOfMicros, instantsOf, ScheduleNeverFiresError } from '@nestor/core';

/** One line of what scripts/expression-tables.py wrote. */
interface Case {
  readonly kind: 'cron' | 'rrule';
  readonly cron?: string;
  readonly dayOr?: boolean;
  readonly rrule?: string;
  readonly from: number;
  readonly seconds: readonly number[];
}

const CASES = readFileSync(join(__dirname, 'data', 'expressions.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Case);
const MICROS = 1_000_000;

/** The limit that the tables were made with. */
const LIMIT = 12;

function timesOf({ cron, dayOr, rrule, from }: Case): string[] {
  const window = { from: instantOfMicros(from * MICROS), limit: LIMIT };
  try {
    return instantsOf(checkedSchedule({ cron, dayOr, rrule }, instantOfMicros(0)), window).map(textOf);
  } catch (error) {
    if (error instanceof ScheduleNeverFiresError) return []; // the others have an empty list for it
    throw error;
  }
}

const textOf = (instant: number): string => new Date(instant / 1_000).toISOString();

const ofKind = (kind: Case['kind']): (readonly [string, Case])[] =>
  CASES.filter((of) => of.kind === kind).map((of) => [(of.cron ?? of.rrule)!.replaceAll('\n', ' '), of] as const);

describe('expressions drawn by lot', () => {
  it.each(ofKind('cron'))('%s, as croniter reads it [S01]', (_, of) => {
    expect(timesOf(of)).toEqual(of.seconds.map((second) => textOf(second * MICROS)));
  });

  it.each(ofKind('rrule'))('%s, as dateutil reads it [S03]', (_, of) => {
    expect(timesOf(of)).toEqual(of.seconds.map((second) => textOf(second * MICROS)));
  });
});
