import * as fc from 'fast-check';
import { canonicalText } from './canonical-text.js';

/** The same data with the keys of every object, the entries of every map and the items of every set turned around. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (value instanceof Map) return new Map([...value].reverse().map(([key, item]) => [turned(key), turned(item)]));
  if (value instanceof Set) return new Set([...value].reverse().map(turned));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, turned(item)]),
  );
}

describe('canonicalText', () => {
  it('does not depend on the order of keys, entries and items', () => {
    const data = fc.anything({ withMap: true, withSet: true, withBigInt: true, withDate: true, withTypedArray: true });
    fc.assert(
      fc.property(data, (value) => {
        expect(canonicalText(turned(value))).toBe(canonicalText(value));
      }),
      { numRuns: 1_000 },
    );
  });

  class Point {
    constructor(
      readonly x: number,
      readonly y?: number,
    ) {}
  }

  it.each<[string, unknown, unknown]>([
    ['keys in another order', { a: 1, b: { d: 1, c: 2 } }, { b: { c: 2, d: 1 }, a: 1 }],
    [
      'entries whose keys are equal as data, in another order',
      new Map([
        [{}, 1],
        [{}, 2],
      ]),
      new Map([
        [{}, 2],
        [{}, 1],
      ]),
    ],
    ['an absent and an undefined field', { a: 1 }, { a: 1, b: undefined }],
    ['the same beside a key of our own', { $nestor: 1, b: undefined }, { $nestor: 1 }],
    ['an instance and its data', new Point(1), { x: 1 }],
    ['errors raised at different places', new Error('x'), (() => new Error('x'))()],
    ['errors with and without an undefined field', Object.assign(new Error('x'), { a: undefined }), new Error('x')],
  ])('is equal for %s', (_, one, other) => {
    expect(canonicalText(one)).toBe(canonicalText(other));
  });

  it('is different for values that differ', () => {
    const values = [
      undefined, null, 0, -0, '0', 0n, NaN, 'NaN', false, [], {}, [undefined], [null], [[]], new Set(), new Map(), '', '\0',
      '\ud800', { a: 1 }, [['a', 1]], new Map([['a', 1]]), new Date(0), new Date(0).toISOString(), new Error('a'), new Error('b'),
      new TypeError('a'), Buffer.from('a'), new Uint8Array([97]), { $nestor: 'undefined' }, /a/, /a/g, new Date(NaN),
    ]; // prettier-ignore
    expect(new Set(values.map((value) => canonicalText(value))).size).toBe(values.length);
  });

  it.each<[string, unknown]>([
    ['a function', { a: [() => 1] }],
    ['a promise', Promise.resolve()],
    ['a getter that throws', { get a() { throw new Error('no'); } }], // prettier-ignore
  ])('is null for %s', (_, value) => {
    expect(canonicalText(value)).toBeNull();
  });

  it('is null for a cycle', () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expect(canonicalText(loop)).toBeNull();
  });
});
