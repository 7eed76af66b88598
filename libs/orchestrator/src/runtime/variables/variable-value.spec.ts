import { checkedName, tagsText, valueText } from './variable-value.js';

const problemOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};
const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);

describe('a variable', () => {
  it.each(['a', 'max_batch-size_2', '0', 'a'.repeat(255)])('may be called %j', (name) => {
    expect(checkedName(name)).toBe(name);
  });

  it.each(['', 'A', 'a b', 'a.b', 'ä', 'a\n', 'a'.repeat(256)])('may not be called %j', (name) => {
    expect(problemOf(() => checkedName(name))).toMatchObject({ code: 'INVALID_VARIABLE', variable: name });
  });

  it.each([[null], [true], [-0.5], ['text “😀”'], [[]], [{}], [{ a: [1, 'b', null, { c: false }] }], [deep(100)]])(
    'holds %j',
    (value) => {
      expect(JSON.parse(valueText('a', value))).toEqual(value);
    },
  );

  it('holds no field that is undefined', () => {
    expect(valueText('a', { a: undefined, b: 1 })).toBe('{"b":1}');
  });

  it.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /^\$ of its value is undefined/],
    ['undefined within', { a: [1, undefined] }, /^\$\.a\[1\] of its value is undefined/],
    ['NaN', { a: NaN }, /^\$\.a of its value is NaN/],
    ['a bigint', [1n], /^\$\[0\] of its value is a bigint/],
    ['a function', { f: () => 1 }, /^\$\.f of its value is a function/],
    ['a date', { at: new Date() }, /^\$\.at of its value is no plain data/],
    ['a map', new Map(), /^\$ of its value is no plain data/],
    ['what hides behind toJSON', { toJSON: () => 1 }, /^\$ of its value is no plain data/],
    ['a NUL', ['a\0'], /^\$\[0\] of its value has a NUL/],
    ['half a character as key', { '\ud800': 1 }, /^a key in \$/],
    ['too many levels', deep(101), /more than 100 levels deep/],
    ['itself', ((list: unknown[]) => (list[0] = list))([]), /more than 100 levels deep/],
  ])('does not hold %s', (_, value, problem) => {
    expect(problemOf(() => valueText('a', value))).toMatchObject({ problem: expect.stringMatching(problem) });
  });

  it('has 5000 characters of JSON at most [A03]', () => {
    expect(valueText('a', 'x'.repeat(4_998))).toHaveLength(5_000);
    expect(problemOf(() => valueText('a', 'x'.repeat(4_999)))).toMatchObject({
      message: 'Variable "a" cannot be set: its value has 5001 characters as JSON, more than 5000.',
    });
  });

  it('has each tag once', () => {
    expect(tagsText('a', undefined)).toBeNull();
    expect(tagsText('a', ['x', 'y', 'x'])).toBe('["x","y"]');
    expect(problemOf(() => tagsText('a', ['']))).toMatchObject({
      problem: '"" is no tag; one has 1 to 255 characters',
    });
  });
});
