import * as fc from 'fast-check';
import {
  addMicros,
  addMs,
  dateOfInstant,
  formatInstant,
  instantOfMicros,
  instantOfMs,
  msBetween,
  parseInstant,
  type Instant,
} from './instant.js';

const micros = (value: number): Instant => value as Instant;

/** Within the years whose microseconds a number holds exactly: 1685 to 2255. */
const instants = fc
  .integer({ min: Date.UTC(1700, 0, 1), max: Date.UTC(2254, 11, 31) })
  .chain((ms) => fc.integer({ min: 0, max: 999 }).map((rest) => micros(ms * 1_000 + rest)));

describe('parseInstant', () => {
  it.each([
    ['ISO 8601 in UTC', '2026-11-22T04:55:48.123456Z', 1_795_323_348_123_456],
    ['what PostgreSQL prints', '2026-11-22 04:55:48.123456+00', 1_795_323_348_123_456],
    ['no decimals', '2026-11-22 04:55:48+00', 1_795_323_348_000_000],
    ['decimals whose zeros PostgreSQL leaves out', '2026-11-22 04:55:48.5+00', 1_795_323_348_500_000],
    ['three decimals', '2026-11-22T04:55:48.123Z', 1_795_323_348_123_000],
    ['a single microsecond', '1970-01-01T00:00:00.000001Z', 1],
    ['the epoch', '1970-01-01T00:00:00Z', 0],
    ['the microsecond before the epoch', '1969-12-31T23:59:59.999999Z', -1],
    ['long before the epoch', '1900-01-01 00:00:00.25+00', -2_208_988_799_750_000],
    ['a leap second', '2016-12-31T23:59:60Z', 1_483_228_800_000_000],
    ['a leap day', '2024-02-29T00:00:00Z', 1_709_164_800_000_000],
  ])('reads %s: %s', (_, text, expected) => {
    expect(parseInstant(text)).toBe(expected);
  });

  it.each([
    ['hours', '2026-11-22T06:55:48+02'],
    ['hours and minutes', '2026-11-22T10:40:48+05:45'],
    ['hours and minutes without a colon', '2026-11-22T10:40:48+0545'],
    ['a negative offset', '2026-11-21T20:55:48-08:00'],
    ['a negative offset with minutes', '2026-11-22T01:25:48-03:30'],
    ['seconds, as zones had them before they were standardised', '2026-11-22 05:15:20+00:19:32'],
    ['negative seconds', '2026-11-22 00:54:13-04:01:35'],
    ['minus zero', '2026-11-22T04:55:48-00:00'],
  ])('reads an offset of %s', (_, text) => {
    expect(formatInstant(parseInstant(text))).toBe('2026-11-22T04:55:48.000000Z');
  });

  it('cuts off what is finer than a microsecond', () => {
    expect(parseInstant('2026-11-22T04:55:48.123456999Z')).toBe(parseInstant('2026-11-22T04:55:48.123456Z'));
  });

  it('reads years before 100 as they are written', () => {
    expect(formatInstant(parseInstant('0050-06-01T12:00:00Z'))).toBe('0050-06-01T12:00:00.000000Z');
  });

  it.each([
    [''],
    ['now'],
    ['2026-11-22'],
    ['2026-11-22T04:55:48'],
    ['2026-11-22T04:55Z'],
    ['2026-11-22T04:55:48.Z'],
    ['2026-11-22T04:55:48 Z'],
    ['2026-11-22T04:55:48Z\n'],
    ['26-11-22T04:55:48Z'],
    ['12026-11-22T04:55:48Z'],
    ['2026-11-22T04:55:48+2'],
    ['0044-03-15 12:00:00+00 BC'],
    ['2026-13-01T00:00:00Z'],
    ['2026-02-30T00:00:00Z'],
    ['2025-02-29T00:00:00Z'],
    ['2026-00-10T00:00:00Z'],
    ['2026-11-22T24:00:01Z'],
    ['2026-11-22T04:60:00Z'],
    ['2026-11-22T04:55:61Z'],
    ['2026-11-22T04:55:48+25:00'],
    ['2026-11-22T04:55:48+01:60'],
  ])('refuses %j and quotes it', (text) => {
    expect(() => parseInstant(text)).toThrow(RangeError);
    expect(() => parseInstant(text)).toThrow(`"${text}" is not a timestamp`);
  });
});

describe('formatInstant', () => {
  it.each([
    [0, '1970-01-01T00:00:00.000000Z'],
    [1, '1970-01-01T00:00:00.000001Z'],
    [-1, '1969-12-31T23:59:59.999999Z'],
    [-1_000_000, '1969-12-31T23:59:59.000000Z'],
    [1_795_323_348_120_000, '2026-11-22T04:55:48.120000Z'],
  ])('writes %d as %s', (value, expected) => {
    expect(formatInstant(micros(value))).toBe(expected);
  });

  it('is read back as the same instant', () => {
    fc.assert(fc.property(instants, (instant) => expect(parseInstant(formatInstant(instant))).toBe(instant)));
  });

  it('sorts as text the way instants sort as numbers', () => {
    fc.assert(
      fc.property(instants, instants, (a, b) => {
        expect(formatInstant(a) < formatInstant(b)).toBe(a < b);
      }),
    );
  });

  it('is read back with any offset as the same instant', () => {
    const offsets = fc.integer({ min: -18 * 60, max: 18 * 60 });
    fc.assert(
      fc.property(instants, offsets, (instant, minutes) => {
        const wall = formatInstant(addMs(instant, minutes * 60_000)).slice(0, -1);
        const digits = (value: number): string => String(value).padStart(2, '0');
        const size = Math.abs(minutes);
        const offset = `${minutes < 0 ? '-' : '+'}${digits(Math.floor(size / 60))}:${digits(size % 60)}`;
        expect(parseInstant(`${wall}${offset}`)).toBe(instant);
      }),
    );
  });
});

describe('instants from numbers', () => {
  it('keep the microseconds of a count of microseconds and cut what is finer', () => {
    expect(instantOfMicros(1_795_323_348_123_456)).toBe(1_795_323_348_123_456);
    expect(instantOfMicros(1.9)).toBe(1);
  });

  it('keep the fraction of a count of milliseconds to the microsecond', () => {
    expect(instantOfMs(1_795_323_348_123)).toBe(1_795_323_348_123_000);
    expect(instantOfMs(0.0015)).toBe(2);
    expect(instantOfMs(-1.5)).toBe(-1_500);
  });
});

describe('arithmetic', () => {
  it('adds milliseconds, also negative and fractional ones', () => {
    expect(addMs(micros(10), 1.5)).toBe(1_510);
    expect(addMs(micros(10), -1)).toBe(-990);
  });

  it('adds microseconds', () => {
    expect(addMicros(micros(10), 1)).toBe(11);
  });

  it('measures milliseconds, negative when the second instant is the earlier one', () => {
    expect(msBetween(micros(0), micros(1_500))).toBe(1.5);
    expect(msBetween(micros(1_500), micros(0))).toBe(-1.5);
  });

  it('undoes itself', () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: -1e9, max: 1e9 }), (instant, ms) => {
        expect(msBetween(instant, addMs(instant, ms))).toBe(ms);
      }),
    );
  });
});

describe('dateOfInstant', () => {
  it('gives the millisecond an instant lies in, before the epoch too', () => {
    expect(dateOfInstant(micros(1_999)).getTime()).toBe(1);
    expect(dateOfInstant(micros(-1)).getTime()).toBe(-1);
  });
});
