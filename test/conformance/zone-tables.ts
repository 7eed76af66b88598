import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Zone } from '@nestor/core';

/** What scripts/zone-tables.py wrote. */
interface ZoneTables {
  /** Which implementation. */
  readonly by: string;
  /** Releases of the IANA data, the oldest first. */
  readonly releases: readonly string[];
  /** Seconds before and after a change of clocks that were looked at. */
  readonly around: number;
  readonly crons: readonly string[];
  readonly rrules: readonly string[];
  readonly anchor: number;
  /** Seconds. */
  readonly intervals: readonly number[];
  /** Changes, until 2037, where dateutil itself does otherwise than the tables, which say what it does in general. */
  readonly differingFromDateutil: Readonly<Record<string, readonly string[]>>;
  readonly groups: readonly ZoneGroup[];
  /** From which release on a zone belongs to which group. */
  readonly zones: Readonly<Record<string, readonly (readonly [release: string, group: number])[]>>;
}

/** Zones whose clocks change alike from 2020 to 2040. */
interface ZoneGroup {
  /** Before the first change. */
  readonly offset: number;
  readonly changes: readonly (readonly [second: number, offset: number])[];
  readonly digests: Readonly<Record<'cron' | 'interval' | 'rrule', string>>;
}

export const ZONE_TABLES = JSON.parse(readFileSync(join(__dirname, 'data', 'zones.json'), 'utf8')) as ZoneTables;

/** What a zone is like in a release; one that is older or newer than all that are known has the nearest one's. */
export function groupOf(zone: string, release: string): ZoneGroup {
  const of = ZONE_TABLES.zones[zone]!;
  const [, group] = of.findLast(([since]) => since <= release) ?? of[0]!;
  return ZONE_TABLES.groups[group]!;
}

/** A zone as a release has it, from 2020 to 2040, whatever the runtime knows of it. */
export function tabledZone(name: string, release: string): Zone {
  const { offset, changes } = groupOf(name, release);
  return { name, offsetAt: (second) => changes.findLast(([at]) => at <= second)?.[1] ?? offset };
}
