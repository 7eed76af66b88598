/** Zones whose clocks are never changed, for offsets that are no whole hours: minutes ahead of UTC, and where they hold. */
const ZONES: ReadonlyMap<number, string> = new Map([
  [-570, 'Pacific/Marquesas'],
  [270, 'Asia/Kabul'],
  [330, 'Asia/Kolkata'],
  [345, 'Asia/Kathmandu'],
  [390, 'Asia/Yangon'],
  [525, 'Australia/Eucla'],
  [570, 'Australia/Darwin'],
]);

/**
 * A time zone whose clocks are always so many minutes ahead of UTC: schedules are kept with the names of zones.
 *
 * @returns `null` where no zone has that offset all year.
 */
export function zoneOfOffset(minutes: number): string | null {
  const hours = minutes / 60;
  if (!Number.isInteger(hours)) return ZONES.get(minutes) ?? null;
  if (hours === 0) return 'UTC';
  if (hours < -12 || hours > 14) return null;
  return `Etc/GMT${hours > 0 ? '-' : '+'}${Math.abs(hours)}`; // POSIX counts westwards
}
