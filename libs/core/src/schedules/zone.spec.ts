import { UnknownTimeZoneError } from './schedule-errors.js';
import { checkedTimeZone, zoneNamed } from './zone.js';

const at = (text: string): number => Date.parse(text) / 1_000;

describe('zones', () => {
  it.each([
    ['UTC', '2026-06-01T00:00:00Z', 0],
    ['Europe/Berlin', '2026-03-29T00:59:59Z', 3_600],
    ['Europe/Berlin', '2026-03-29T01:00:00Z', 7_200],
    ['Asia/Kathmandu', '2026-06-01T00:00:00Z', 20_700],
    ['America/St_Johns', '2026-01-01T00:00:00Z', -12_600],
    ['Australia/Lord_Howe', '2026-04-04T14:59:59Z', 39_600],
    ['Australia/Lord_Howe', '2026-04-04T15:00:00Z', 37_800],
    ['Pacific/Apia', '2011-12-30T09:59:59Z', -36_000],
    ['Pacific/Apia', '2011-12-30T10:00:00Z', 50_400],
    ['Africa/Monrovia', '1971-06-01T00:00:00Z', -2_670],
  ])('%s at %s is %i seconds ahead', (name, second, offset) => {
    expect(zoneNamed(name).offsetAt(at(second))).toBe(offset);
  });

  it('are written as the database has them, and aliases stay', () => {
    expect(checkedTimeZone('europe/BERLIN')).toBe('Europe/Berlin');
    expect(checkedTimeZone('US/Eastern')).toBe('US/Eastern');
    expect(checkedTimeZone('utc')).toBe('UTC');
  });

  it.each([['Mars/Olympus'], ['+02:00'], ['GMT+2'], [''], [null], [undefined], [5]])('are not %j', (name) => {
    expect(() => checkedTimeZone(name)).toThrow(UnknownTimeZoneError);
    expect(() => checkedTimeZone(name)).toThrow('There is no time zone');
  });
});
