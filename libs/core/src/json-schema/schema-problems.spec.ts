import { schemaProblems, withDefaults } from './schema-problems.js';

describe('schemaProblems', () => {
  it.each<[string, unknown, unknown[], [value: unknown, problem: string][]]>([
    [
      'a text',
      { type: 'string' },
      ['', 'a'],
      [
        [1, 'must be a text'],
        [null, 'must be a text'],
      ],
    ],
    ['a number', { type: 'number' }, [0, 1.5], [['1', 'must be a number']]],
    ['a whole number', { type: 'integer' }, [3], [[1.5, 'must be a whole number']]],
    [
      'a truth value',
      { type: 'boolean' },
      [true, false],
      [
        ['true', 'must be true or false'],
        [0, 'must be true or false'],
      ],
    ],
    ['a list', { type: 'array' }, [[], [1, 'a']], [[{}, 'must be a list']]],
    [
      'an object',
      { type: 'object' },
      [{}, { a: 1 }],
      [
        [[], 'must be an object'],
        [null, 'must be an object'],
      ],
    ],
    ['one of two types', { type: ['string', 'null'] }, ['a', null], [[1, 'must be a text or null']]],
    ['a type that is not known', { type: 'mystery' }, [1, 'a'], []],
    [
      'one of some values',
      { enum: ['a', 1, { b: 2, c: 3 }] },
      ['a', 1, { c: 3, b: 2 }],
      [['b', 'must be one of "a", 1, {"b":2,"c":3}']],
    ],
    ['one value', { const: 'yes' }, ['yes'], [['no', 'must be "yes"']]],
    ['anything but', { not: { enum: ['no'] } }, ['yes'], [['no', 'is what it must not be']]],
    ['nothing', false, [], [[1, 'must not be given']]],
    ['anything', true, [1, null], []],
    [
      'a long text',
      { minLength: 2, maxLength: 3 },
      ['ab', 'abc', '👍👍', 7],
      [
        ['a', 'must have 2 characters or more'],
        ['abcd', 'must have at most 3 characters'],
      ],
    ],
    ['a text of a pattern', { pattern: '^a+$' }, ['aa'], [['b', 'must match ^a+$']]],
    ['a text of a pattern in another dialect', { pattern: '(?P<a>b' }, ['anything'], []],
    [
      'a date and time',
      { format: 'date-time' },
      ['2026-01-02T03:04:05Z', '2026-01-02', '2026-01-02T03:04:05.123456+02:00'],
      [
        ['soon', 'must have the form "date-time"'],
        ['2026-13-01T00:00:00Z', 'must have the form "date-time"'],
      ],
    ],
    ['a UUID', { format: 'uuid' }, ['01a21552-4120-7000-bf30-923da5a31f17'], [['x', 'must have the form "uuid"']]],
    ['an address', { format: 'email' }, ['a@b.c'], [['a b@c', 'must have the form "email"']]],
    ['a form that is not known', { format: 'colour' }, ['red'], []],
    [
      'a number within bounds',
      { minimum: 1, maximum: 2 },
      [1, 2],
      [
        [0, 'must be 1 or more'],
        [3, 'must be at most 2'],
      ],
    ],
    [
      'a number between bounds',
      { exclusiveMinimum: 0, exclusiveMaximum: 2 },
      [1],
      [
        [0, 'must be more than 0'],
        [2, 'must be less than 2'],
      ],
    ],
    ['a multiple', { multipleOf: 0.1 }, [0.3, 7], [[0.35, 'must be a multiple of 0.1']]],
    [
      'a list of a length',
      { minItems: 1, maxItems: 2 },
      [[1]],
      [
        [[], 'must have 1 elements or more'],
        [[1, 2, 3], 'must have at most 2 elements'],
      ],
    ],
    [
      'a list without repetition',
      { uniqueItems: true },
      [[1, '1', { a: 1 }]],
      [
        [
          [
            { a: 1, b: 2 },
            { b: 2, a: 1 },
          ],
          'must not have an element twice',
        ],
      ],
    ],
    ['one of several schemas', { anyOf: [{ type: 'string' }, { type: 'null' }] }, ['a', null], [[1, 'must be a text']]],
    [
      'exactly one of several',
      { oneOf: [{ minimum: 0 }, { maximum: 10 }] },
      [20, -1],
      [[5, 'fits more than one of what it may be']],
    ],
    ['all of several', { allOf: [{ minimum: 0 }, { maximum: 10 }] }, [5], [[20, 'must be at most 10']]],
  ])('%s', (_, schema, right, wrong) => {
    for (const value of right) expect(schemaProblems(schema, value)).toEqual([]);
    for (const [value, problem] of wrong) expect(schemaProblems(schema, value)).toEqual([{ path: '', problem }]);
  });

  it('tells where something is wrong, and all of it', () => {
    const schema = {
      type: 'object',
      properties: { items: { type: 'array', items: { $ref: '#/$defs/Item' } }, name: { type: 'string' } },
      required: ['items', 'name'],
      additionalProperties: false,
      $defs: {
        Item: { type: 'object', properties: { sku: { type: 'string' } }, additionalProperties: { type: 'number' } },
      },
    };
    expect(schemaProblems(schema, { items: [{ sku: 'a' }, { sku: 1, weight: 'x' }], more: true })).toEqual([
      { path: 'name', problem: 'must be given' },
      { path: 'items[1].sku', problem: 'must be a text' },
      { path: 'items[1].weight', problem: 'must be a number' },
      { path: 'more', problem: 'is not known' },
    ]);
  });

  it('takes fields of prototypes for what they are: not there', () => {
    expect(schemaProblems({ required: ['constructor'] }, {})).toEqual([
      { path: 'constructor', problem: 'must be given' },
    ]);
    expect(schemaProblems({ properties: {}, additionalProperties: false }, JSON.parse('{"__proto__":1}'))).toEqual([
      { path: '__proto__', problem: 'is not known' },
    ]);
  });

  it('asks for nothing where a reference leads nowhere, and follows one that leads back only so far', () => {
    expect(schemaProblems({ $ref: '#/definitions/Gone' }, 1)).toEqual([]);
    expect(schemaProblems({ $ref: 'https://example.com/schema' }, 1)).toEqual([]);
    expect(schemaProblems({ $ref: '#' }, 1)).toEqual([{ path: '', problem: 'goes too deep' }]);
  });

  it('follows a schema that refers to itself as deep as the value goes', () => {
    const schema = { properties: { next: { $ref: '#' }, value: { type: 'number' } } };
    expect(schemaProblems(schema, { next: { next: { value: 'x' } } })).toEqual([
      { path: 'next.next.value', problem: 'must be a number' },
    ]);
  });
});

describe('withDefaults', () => {
  const schema = { properties: { a: { default: 1 }, b: { default: null }, c: {} } };

  it('gives what is left out, and leaves what is there', () => {
    expect(withDefaults(schema, { c: 3 })).toEqual({ a: 1, b: null, c: 3 });
    expect(withDefaults(schema, { a: 0, b: false })).toEqual({ a: 0, b: false });
  });

  it('leaves alone what is no object, or has no schema', () => {
    expect(withDefaults(schema, 'text')).toBe('text');
    const value = {};
    expect(withDefaults(undefined, value)).toBe(value);
  });
});
