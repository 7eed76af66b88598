import { encode } from './encode.js';
import { encodingVersion } from './tags.js';
import { UnserialisableValueError } from './unserialisable-value-error.js';

/** The error `encode` throws for a value. */
function refusalOf(value: unknown, subject?: string): UnserialisableValueError {
  try {
    encode(value, subject === undefined ? {} : { subject });
  } catch (error) {
    if (error instanceof UnserialisableValueError) return error;
    throw error;
  }
  throw new Error('It was encoded.');
}

function nested(levels: number): unknown {
  let value: unknown = 'innermost';
  for (let i = 0; i < levels; i++) value = i % 2 ? { deeper: value } : [value];
  return value;
}

describe('encode', () => {
  class Money {
    constructor(
      readonly amount: number,
      readonly currency: string,
    ) {}
    get text() {
      return `${this.amount} ${this.currency}`;
    }
  }

  it.each<[string, unknown]>([
    ['null', null],
    ['strings', 'Grüße\n"quoted" \\u0000 C:\\users 😀'],
    ['numbers', [0, 1.5, -3, 1e21, Number.MIN_VALUE]],
    ['objects, in the order of their keys', { b: 1, a: [true, { c: null }], 7: 'seven' }],
    ['keys such as __proto__', JSON.parse('{"a":1,"__proto__":{"x":1}}')],
    ['instances of classes', { price: new Money(3, 'EUR') }],
    ['objects without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['an empty object and an empty array', [{}, []]],
  ])('writes %s as JSON.stringify does', (_, value) => {
    expect(encode(value)).toBe(JSON.stringify(value));
  });

  it.each<[string, unknown, string]>([
    ['undefined', undefined, '{"$nestor":"undefined"}'],
    ['a field that is undefined', { a: 1, b: undefined }, '{"a":1,"b":{"$nestor":"undefined"}}'],
    ['minus zero', [-0], '[{"$nestor":"number","value":"-0"}]'],
    ['a bigint', 12n, '{"$nestor":"bigint","value":"12"}'],
    ['a date', new Date(0), '{"$nestor":"date","value":"1970-01-01T00:00:00.000Z"}'],
    ['a date that is none', new Date(NaN), '{"$nestor":"date","value":null}'],
    ['a map', new Map([['a', 1]]), '{"$nestor":"map","value":[["a",1]]}'],
    ['a set', new Set([1]), '{"$nestor":"set","value":[1]}'],
    ['bytes', Buffer.from('hi'), '{"$nestor":"binary","type":"Buffer","value":"aGk="}'],
    ['NUL', 'a\0', '{"$nestor":"string","value":"\\"a\\\\u0000\\""}'],
    ['a key of our own', { $nestor: 1, b: 2 }, '{"$nestor":"object","value":[["$nestor",1],["b",2]]}'],
    [
      'what toJSON returns',
      { at: { toJSON: () => new Date(0) } },
      '{"at":{"$nestor":"date","value":"1970-01-01T00:00:00.000Z"}}',
    ],
    [
      'a boxed primitive',
      [Object('a'), Object(1), Object(false), Object(2n)],
      '["a",1,false,{"$nestor":"bigint","value":"2"}]',
    ],
  ])('tags %s', (_, value, text) => {
    expect(encode(value)).toBe(text);
  });

  it('keeps out what toJSON hides, also when it returns its own instance', () => {
    class User {
      name = 'Ada';
      password = 'secret';
      toJSON(): unknown {
        const { name } = this;
        return { name };
      }
    }
    class Self {
      a = 1;
      toJSON() {
        return this;
      }
    }
    expect(encode([new User(), new Self()])).toBe('[{"name":"Ada"},{"a":1}]');
  });

  it('does not ask a global toJSON of BigInt', () => {
    const prototype = BigInt.prototype as { toJSON?: () => string };
    prototype.toJSON = () => 'wrong';
    try {
      expect(encode({ n: 5n })).toBe('{"n":{"$nestor":"bigint","value":"5"}}');
    } finally {
      delete prototype.toJSON;
    }
  });

  const symbol = Symbol('s');
  it.each<[string, unknown, string, string]>([
    ['a function', { items: [0, 1, 2, { callback: () => 1 }] }, '$.items[3].callback', 'a function (callback)'],
    [
      'a nameless function',
      [
        (
          () => () =>
            1
        )(),
      ],
      '$[0]',
      'a function',
    ],
    ['a class', { type: Money }, '$.type', 'a function (Money)'],
    ['a symbol', { 'odd key': symbol }, '$["odd key"]', 'a symbol'],
    ['a promise', { a: { b: Promise.resolve(1) } }, '$.a.b', 'a promise'],
    ['a weak map', [new WeakMap()], '$[0]', 'a WeakMap, whose data cannot be read'],
    [
      'a platform object',
      { query: new URLSearchParams('a=1') },
      '$.query',
      'a URLSearchParams, whose data cannot be read',
    ],
    ['a value in a map', new Map([['x', symbol]]), '$.get("x")', 'a symbol'],
    ['a key of a map', new Map([[symbol, 1]]), '$.keys()[0]', 'a symbol'],
    ['a value under an object as key', { m: new Map([[{}, symbol]]) }, '$.m.values()[0]', 'a symbol'],
    ['an item of a set', new Set([1, symbol]), '$.values()[1]', 'a symbol'],
    ['the result of toJSON', { a: { toJSON: () => ({ b: symbol }) } }, '$.a.toJSON().b', 'a symbol'],
    ['a key of our own', { $nestor: symbol }, '$.$nestor', 'a symbol'],
  ])('refuses %s and names the place', (_, value, path, found) => {
    expect(refusalOf(value)).toMatchObject({ code: 'UNSERIALISABLE_VALUE', path, found });
  });

  it('says what the value is, where, what and what to do', () => {
    expect(refusalOf({ then: [Promise.resolve()] }, 'result of task "load"').message).toBe(
      'The result of task "load" cannot be recorded: $.then[0] is a promise; await it (is an "await" missing?).',
    );
  });

  it('refuses a cycle and names both ends', () => {
    const order = { lines: [{ order: undefined as unknown }] };
    order.lines[0]!.order = order.lines;
    expect(refusalOf({ order })).toMatchObject({
      path: '$.order.lines[0].order',
      found: 'a reference back to $.order.lines',
    });
  });

  it('copies what is shared without being a cycle', () => {
    const shared = { n: 1 };
    expect(encode([shared, { shared }])).toBe('[{"n":1},{"shared":{"n":1}}]');
  });

  it('takes 1,000 levels and refuses the next', () => {
    expect(encode(nested(1_000))).toBe(JSON.stringify(nested(1_000)));
    expect(refusalOf(nested(1_001)).found).toBe('more than 1000 levels deep');
    expect(refusalOf(nested(100_000))).toMatchObject({
      found: 'more than 1000 levels deep',
      path: `$${'.deeper[0]'.repeat(5)}…${'.deeper[0]'.repeat(5)}`,
    });
  });

  it('refuses a few items strewn over a huge array', () => {
    const byId: number[] = [];
    byId[3_000_000_000] = 1;
    expect(refusalOf({ byId })).toMatchObject({ path: '$.byId[0]', found: 'a hole in an array of length 3000000001' });
  });

  it('reports a getter that throws with its place and cause', () => {
    const cause = new Error('closed');
    const value = {
      connection: {
        get state(): string {
          throw cause;
        },
      },
    };
    expect(refusalOf(value)).toMatchObject({ path: '$.connection.state', cause });
  });

  it('never leaves an escape that PostgreSQL cannot read again', () => {
    const text = encode({ 'key\0': 'a\0b', tail: '\udc00', pair: '😀', e: new Error('\ud800') });
    expect(text).not.toMatch(/(?<!\\)(\\\\)*\\u(0000|d[89a-f])/);
  });

  it('has a version', () => {
    expect(encodingVersion).toBe(1);
  });
});
