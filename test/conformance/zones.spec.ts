import { createHash } from 'node:crypto';
import { checkedSchedule, instantOfMicros, instantsOf } from '@nestor/core';
import type { Schedule, ScheduleInput } from '@nestor/core';
import { groupOf, ZONE_TABLES } from './zone-tables.js';

const RELEASE = process.versions.tz!;
const MICROS = 1_000_000;
const ANCHOR = instantOfMicros(ZONE_TABLES.anchor * MICROS);

/** The rules of these depend on the release, among those from 2024a to 2026f; each is compared with the one it has here. */
const CHANGED_BETWEEN_RELEASES = [
  ...[
    'Africa/Casablanca',
    'Africa/El_Aaiun',
    'America/Asuncion',
    'America/Edmonton',
    'America/Havana',
    'America/Inuvik',
  ],
  ...['America/Rainy_River', 'America/Vancouver', 'America/Winnipeg', 'America/Yellowknife', 'Canada/Central'],
  ...['Canada/Mountain', 'Canada/Pacific', 'Cuba', 'Europe/Chisinau', 'Europe/Tiraspol'],
];

/**
 * Morocco's summer time was its standard time until it gave Ramadan up in September 2026. Offsets alone do not tell, so
 * from then on its rules are read like others', also on data that do not know of it yet.
 */
const MOROCCO_BEFORE_2026C = RELEASE < '2026c' ? ['Africa/Casablanca', 'Africa/El_Aaiun'] : [];

/** Where standard time itself was put forward, dateutil keeps the offset before the gap. It takes more than offsets to tell. */
const STANDARD_TIME_PUT_FORWARD = {
  'America/Godthab': ['2023-03-26'],
  'America/Nuuk': ['2023-03-26'],
  'Antarctica/Casey': ['2020-10-03', '2021-10-02', '2022-10-01'],
};

/** `Factory` stands for a zone that nobody has chosen yet; ICU does not know it. */
const UNKNOWN_TO_THE_RUNTIME = ['Factory'];

const { crons, intervals, rrules, around } = ZONE_TABLES;
const INPUTS = {
  cron: crons.map((cron): ScheduleInput => ({ cron })),
  interval: intervals.map((seconds): ScheduleInput => ({ interval: seconds * 1_000 })),
  rrule: rrules.map((rrule): ScheduleInput => ({ rrule })),
} as const;
type Kind = keyof typeof INPUTS;
const KINDS = Object.keys(INPUTS) as Kind[];
const SCHEDULES = Object.fromEntries(
  KINDS.map((kind) => [kind, INPUTS[kind].map((input) => checkedSchedule(input, ANCHOR))]),
) as unknown as Record<Kind, Schedule[]>;

function digestOf(zone: string, kind: Kind): string {
  const middles = [
    ...groupOf(zone, RELEASE).changes.map(([at]) => at),
    Date.UTC(2020, 6) / 1_000,
    Date.UTC(2040, 6) / 1_000,
  ];
  const seconds = middles.flatMap((middle) =>
    SCHEDULES[kind].flatMap((schedule) => {
      const window = {
        from: instantOfMicros((middle - around) * MICROS),
        until: instantOfMicros((middle + around) * MICROS),
        limit: 1_000,
      };
      return instantsOf({ ...schedule, timezone: zone }, window).map((instant) => instant / MICROS);
    }),
  );
  return createHash('sha256').update(seconds.join('\n')).digest('hex').slice(0, 16);
}

/**
 * Around every change of clocks from 2020 to 2040, in every zone of the IANA database, as the release that this runtime
 * carries has it.
 */
describe(`the instants around changes of clocks (IANA ${RELEASE}; compared with ${ZONE_TABLES.by})`, () => {
  const zones = Object.keys(ZONE_TABLES.zones).filter((zone) => !UNKNOWN_TO_THE_RUNTIME.includes(zone));

  it('are those of close to six hundred zones, and of a release that the tables know', () => {
    expect(zones.length).toBeGreaterThan(590);
    expect(ZONE_TABLES.releases[0]! <= RELEASE).toBe(true);
    const unknown = Object.keys(ZONE_TABLES.zones).filter((timezone) => {
      try {
        return checkedSchedule({ cron: '@daily', timezone }, ANCHOR) === null;
      } catch {
        return true;
      }
    });
    expect(unknown).toEqual(UNKNOWN_TO_THE_RUNTIME);
    const changed = Object.entries(ZONE_TABLES.zones).filter(([, groups]) => groups.length > 1);
    expect(changed.map(([zone]) => zone)).toEqual(CHANGED_BETWEEN_RELEASES);
  });

  const differing = (kind: Kind): string[] =>
    zones.filter((zone) => digestOf(zone, kind) !== groupOf(zone, RELEASE).digests[kind]);

  it('are the same for cron expressions, in every zone [S01]', () => {
    expect(differing('cron')).toEqual([]);
  });

  it('are the same for intervals of hours, days, and both, in every zone [S02]', () => {
    expect(differing('interval')).toEqual([]);
  });

  it('are the same for recurrence rules, in every zone [S03]', () => {
    expect(differing('rrule')).toEqual(MOROCCO_BEFORE_2026C);
    expect(ZONE_TABLES.differingFromDateutil).toEqual(STANDARD_TIME_PUT_FORWARD);
  });
});
