import { remembered } from './remembered.js';
import { UnknownTimeZoneError } from './schedule-errors.js';

/** The rules of a time zone. */
export interface Zone {
  readonly name: string;
  /** Seconds by which clocks there are ahead of UTC, at a second since 1970-01-01T00:00:00Z. */
  offsetAt(second: number): number;
}

/** Where zones are found by name. */
export type Zones = (name: string) => Zone;

/** The offsets of a stretch of time: one, or two with the second from which the later one holds. */
interface Stretch {
  readonly offset: number;
  readonly changesAt: number;
  readonly later: number;
}

/**
 * Stretches are looked at from both ends only. No zone has changed its offset twice within eight days since clocks were
 * standardised (Morocco's Ramadan, the shortest period there is, takes about a month).
 */
const STRETCH_SECONDS = 8 * 86_400;
/** Forty years of one zone. */
const MAX_STRETCHES = 2_000;

/** A zone as the runtime knows it (ICU's copy of the IANA database). An offset takes it 2 µs, so stretches are remembered. */
class RuntimeZone implements Zone {
  private readonly stretches = new Map<number, Stretch>();

  constructor(
    readonly name: string,
    private readonly format: Intl.DateTimeFormat,
  ) {}

  offsetAt(second: number): number {
    const index = Math.floor(second / STRETCH_SECONDS);
    let stretch = this.stretches.get(index);
    if (!stretch) {
      if (this.stretches.size >= MAX_STRETCHES) this.stretches.clear();
      stretch = this.stretchFrom(index * STRETCH_SECONDS);
      this.stretches.set(index, stretch);
    }
    return second < stretch.changesAt ? stretch.offset : stretch.later;
  }

  private stretchFrom(first: number): Stretch {
    const offset = this.measure(first);
    const later = this.measure(first + STRETCH_SECONDS - 1);
    if (later === offset) return { offset, changesAt: Infinity, later };
    let before = first;
    let changesAt = first + STRETCH_SECONDS - 1;
    while (changesAt - before > 1) {
      const middle = Math.floor((before + changesAt) / 2);
      if (this.measure(middle) === offset) before = middle;
      else changesAt = middle;
    }
    return { offset, changesAt, later };
  }

  /** Reads `1970, GMT-00:44:30`. */
  private measure(second: number): number {
    const text = this.format.format(second * 1_000);
    const [, sign, hours, minutes = '0', seconds = '0'] = /GMT(?:([+-])(\d+):?(\d+)?:?(\d+)?)?$/.exec(text)!;
    if (sign === undefined) return 0;
    const ahead = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
    return sign === '-' ? -ahead : ahead;
  }
}

interface Known {
  readonly zone: Zone;
  /** The name as the database writes it. */
  readonly name: string;
}

/** Making a formatter takes 80 µs. There are about six hundred names, and many ways to write them in capitals. */
const knownZone = remembered(50_000, (name: string): Known => {
  // Offsets such as "+02:00" are zones for newer runtimes only.
  if (!/^[a-z]/i.test(name)) throw new UnknownTimeZoneError(name);
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset', year: 'numeric' });
  } catch {
    throw new UnknownTimeZoneError(name);
  }
  const { timeZone } = format.resolvedOptions();
  const zone = timeZone === 'UTC' ? { name, offsetAt: () => 0 } : new RuntimeZone(name, format);
  // An alias is resolved to another name, and stays what it was called.
  return { zone, name: timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name };
});

/**
 * The zone of an IANA name, as this process's ICU knows it.
 *
 * @throws {UnknownTimeZoneError}
 */
export const zoneNamed: Zones = (name) => knownZone(name).zone;

/**
 * A name as it is to be written: `america/new_york` is `America/New_York`, and aliases such as `US/Eastern` stay.
 *
 * @throws {UnknownTimeZoneError}
 */
export function checkedTimeZone(name: unknown): string {
  if (typeof name !== 'string') throw new UnknownTimeZoneError(name);
  return knownZone(name).name;
}
