import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { decode } from './decode.js';
import { encode } from './encode.js';
import { UnserialisableValueError } from './unserialisable-value-error.js';

const hostileKey = fc.oneof(
  fc.constantFrom('$nestor', '__proto__', 'toString', 'length', '\0', '\ud800', '0', '10', ''),
  fc.string({ unit: 'binary', maxLength: 5 }),
);
/** UTF-16 units at random: pairs, halves of pairs, NUL. */
const anyString = fc
  .array(fc.oneof(fc.constantFrom(0, 0xd83d, 0xde00, 0xd800, 0xdfff, 0x5c, 0x22, 0x75), fc.nat(0xffff)), {
    maxLength: 8,
  })
  .map((units) => String.fromCharCode(...units));
const leaf = fc.oneof(
  anyString,
  fc.double(),
  fc.integer(),
  fc.constantFrom(null, undefined, true, false, NaN, Infinity, -Infinity, -0, 0),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  fc.uint8Array(),
  fc.float64Array(),
  fc.bigInt64Array(),
  fc.constantFrom(/a\/b+/giu, new URL('https://example.org/a?b=%20#c'), new Uint8Array([1, 2]).buffer),
);

/** Everything whose round trip is promised to be exact. */
const { value: encodable } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(hostileKey, tie('value')), { maxLength: 5 }).map((entries) => {
      const object = {};
      for (const [key, value] of entries) {
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      }
      return object;
    }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => new Set(items)),
  ),
}));

/**
 * The value with a sign in place of invalid dates, which differ from themselves for Node's comparison as for Jest's, and with
 * maps and sets as lists, whose order counts then as well.
 */
function comparable(value: unknown): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? INVALID_DATE : value;
  if (Array.isArray(value)) return value.map(comparable);
  if (value instanceof Map) return ['map', ...[...value].map(comparable)];
  if (value instanceof Set) return ['set', ...[...value].map(comparable)];
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, comparable(field)]));
}

const INVALID_DATE = Symbol('invalid date');

describe('encode and decode', () => {
  it('bring back dates that are none, wherever they are', () => {
    const none = new Date(NaN);
    const value = [none, { at: none }, new Set([none, [none]]), new Map([[none, none]])];
    expect(comparable(decode(encode(value)))).toEqual(comparable(value));
    expect(comparable(value)).not.toEqual(comparable([...value].reverse()));
  });

  it('bring back any encodable value, in text without escapes that PostgreSQL cannot read', () => {
    fc.assert(
      fc.property(encodable, (value) => {
        const text = encode(value);
        expect(text).not.toMatch(/(?<!\\)(\\\\)*\\u(0000|d[89a-f])/);
        expect(isDeepStrictEqual(comparable(decode(text)), comparable(value))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('keep the order of keys, entries and items', () => {
    fc.assert(
      fc.property(encodable, (value) => {
        const text = encode(value);
        expect(encode(decode(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it('write JSON data as JSON.stringify does, unless a tag is needed', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('$nestor') && !text.includes('\\u') && !/-0(?![.\d])/.test(text));
        const plain: unknown = JSON.parse(text);
        expect(encode(plain)).toBe(text);
      }),
      { numRuns: 1_000 },
    );
  });

  it('throw nothing but UnserialisableValueError', () => {
    const anything = fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    const hostile = fc.oneof(
      anything,
      fc.constantFrom<unknown>(
        Symbol('s'),
        () => 1,
        Promise.resolve(),
        new Proxy({}, { ownKeys: () => { throw new Error('trapped'); } }), // prettier-ignore
        { [Symbol.toStringTag]: 'Map', a: 1 },
        Object.create({ [Symbol.toStringTag]: 'Map' }) as object,
        { toJSON: () => { throw new TypeError('no'); } }, // prettier-ignore
        globalThis,
      ),
    );
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 4 }), anything, (values, map) => {
        try {
          decode(encode([values, new Map([[map, values]])]));
        } catch (error) {
          expect(error).toBeInstanceOf(UnserialisableValueError);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('bring back a field named constructor', () => {
    const value = decode(encode({ constructor: new Date(0) })) as object;
    expect(Object.entries(value)).toEqual([['constructor', new Date(0)]]);
  });

  it('fill the holes of an array', () => {
    const holey = [1, , 3, ,] as unknown[]; // eslint-disable-line no-sparse-arrays
    expect(decode(encode({ holey }))).toStrictEqual({ holey: [1, undefined, 3, undefined] });
  });

  it.each([
    'Int8Array',
    'Uint8ClampedArray',
    'Uint16Array',
    'Int32Array',
    'Uint32Array',
    'Float32Array',
    'BigUint64Array',
  ] as const)('bring back a %s that looks at a part of its buffer', (type) => {
    const buffer = Uint8Array.from({ length: 32 }, (_, i) => i).buffer;
    const view = new globalThis[type](buffer, 8, 2);
    const back = decode(encode(view)) as typeof view;
    expect(back).toStrictEqual(view.slice());
    expect(back.buffer.byteLength).toBe(view.byteLength);
  });

  it('bring back a DataView', () => {
    const back = decode(encode(new DataView(Uint8Array.from([1, 2, 3, 4]).buffer, 1, 2))) as DataView;
    expect(back).toBeInstanceOf(DataView);
    expect([back.byteLength, back.getUint8(0)]).toEqual([2, 2]);
  });

  it('bring back the deepest value there may be', () => {
    let value: unknown = null;
    for (let i = 0; i < 1_000; i++) value = new Map([[i, value]]);
    expect(encode(decode(encode(value)))).toBe(encode(value));
  });

  it('work where there is no Buffer', () => {
    const { Buffer } = globalThis;
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 256);
    const text = encode(bytes);
    jest.isolateModules(() => {
      try {
        delete (globalThis as { Buffer?: unknown }).Buffer;
        const { encode: encodeThere } = jest.requireActual<{ encode: typeof encode }>('./encode.js');
        const { decode: decodeThere } = jest.requireActual<{ decode: typeof decode }>('./decode.js');
        expect(encodeThere(bytes) === text).toBe(true);
        const back = decodeThere(text) as Uint8Array;
        expect(back.every((byte, i) => byte === bytes[i])).toBe(true);
        expect(decodeThere(text.replace('Uint8Array', 'Buffer'))).toBeInstanceOf(Uint8Array);
      } finally {
        globalThis.Buffer = Buffer;
      }
    });
  });
});
