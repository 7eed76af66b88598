import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkedSchedule, formatInstant, instantsOf, parseInstant, zoneNamed } from '@nestor/core';
import type { Instant, Schedule, ScheduleWindow, Zones } from '@nestor/core';
import { groupOf, tabledZone } from './zone-tables.js';

/** One line of the recording: the next ten instants of a schedule. */
interface Case {
  readonly kind: 'cron' | 'cron_day_and' | 'interval' | 'rrule';
  readonly spec: string | { readonly interval: number; readonly anchor: string };
  readonly timezone: string;
  readonly start: string;
  readonly dates: readonly string[];
}

const CASES = readFileSync(join(__dirname, 'data', 'schedules.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Case);

/** The release of the IANA data that the recording server had; it shows in Havana's winter of 2026. */
const RECORDED_RELEASE = '2026f';
const RUNTIME_RELEASE = process.versions.tz!;

const changedSince = (zone: string): boolean => groupOf(zone, RUNTIME_RELEASE) !== groupOf(zone, RECORDED_RELEASE);
const recordedZones: Zones = (name) => (changedSince(name) ? tabledZone(name, RECORDED_RELEASE) : zoneNamed(name));

/** The anchor is local time, of a day on which no clock changes. */
function anchorOf({ spec, timezone }: Case): string {
  if (typeof spec === 'string') return '1970-01-01T00:00:00Z';
  const wall = Date.parse(spec.anchor.replace(' local', 'Z')) / 1_000;
  const zone = recordedZones(timezone);
  return new Date((wall - zone.offsetAt(wall)) * 1_000).toISOString();
}

function scheduleOf(recording: Case): Schedule {
  const { kind, spec, timezone } = recording;
  const anchor = parseInstant(anchorOf(recording));
  if (typeof spec !== 'string') return checkedSchedule({ interval: spec.interval * 1_000, timezone }, anchor);
  if (kind === 'rrule') return checkedSchedule({ rrule: spec, timezone }, anchor);
  return checkedSchedule({ cron: spec, timezone, dayOr: kind === 'cron' }, anchor);
}

function datesOf(recording: Case, zones: Zones, daysCountFrom: ScheduleWindow['daysCountFrom']): string[] {
  const window = { from: parseInstant(recording.start), limit: 10, daysCountFrom };
  return instantsOf(scheduleOf(recording), window, zones).map(textOf);
}

const textOf = (instant: Instant): string => formatInstant(instant).replace('.000000', '');
const titleOf = ({ kind, spec, timezone, start }: Case): string =>
  `${kind} ${typeof spec === 'string' ? spec.replace('\n', ' ') : `${spec.interval} s`} in ${timezone} from ${start}`;
const ofKinds = (...kinds: Case['kind'][]): (readonly [string, Case])[] =>
  CASES.filter(({ kind }) => kinds.includes(kind)).map((recording) => [titleOf(recording), recording] as const);

describe('the instants of a schedule', () => {
  it('are recorded for 609 schedules', () => {
    expect(new Set(CASES.map(titleOf)).size).toBe(609);
  });

  it.each(ofKinds('cron', 'cron_day_and'))('%s [S01]', (_, recording) => {
    expect(datesOf(recording, recordedZones, undefined)).toEqual(recording.dates);
  });

  // The server that was recorded keeps no grid: where its window begins, days begin to count.
  it.each(ofKinds('interval'))('%s [S02]', (_, recording) => {
    expect(datesOf(recording, recordedZones, 'window')).toEqual(recording.dates);
  });

  it.each(ofKinds('rrule'))('%s [S03]', (_, recording) => {
    expect(datesOf(recording, recordedZones, undefined)).toEqual(recording.dates);
  });
});

describe('what differs from the recording', () => {
  it('are, on the data of this runtime, only cases in zones whose rules have changed between the two releases', () => {
    const differing = CASES.filter((recording) => {
      return JSON.stringify(datesOf(recording, zoneNamed, 'window')) !== JSON.stringify(recording.dates);
    });
    expect([...new Set(differing.map(({ timezone }) => timezone))].filter((zone) => !changedSince(zone))).toEqual([]);
  });

  it('is that our intervals of whole days keep the time of day of their anchor, whenever they are asked [S02]', () => {
    const differing = CASES.filter(({ kind }) => kind === 'interval').filter((recording) => {
      return JSON.stringify(datesOf(recording, recordedZones, 'anchor')) !== JSON.stringify(recording.dates);
    });
    const days = differing.map(({ spec }) => (spec as { interval: number }).interval / 86_400);
    expect(Math.min(...days)).toBeGreaterThanOrEqual(1);
    for (const recording of differing.filter((_, index) => Number.isInteger(days[index]))) {
      const zone = recordedZones(recording.timezone);
      const hours = datesOf(recording, recordedZones, 'anchor').map((date) => {
        const second = Date.parse(date) / 1_000;
        return new Date((second + zone.offsetAt(second)) * 1_000).toISOString().slice(11, 16);
      });
      // 03:30 on the one day on which 02:30 is skipped.
      expect(hours.filter((hour) => hour !== '02:30').length).toBeLessThanOrEqual(1);
    }
  });
});
