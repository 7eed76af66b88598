import { classCodec, ClassRegistry } from '@nestor/core';
import { decode, encode } from '@nestor/core';
import * as fc from 'fast-check';
import { Attempt } from './attempt.js';
import { RunEndedError } from './engine-errors.js';
import { argumentsOf, callWithParameters, parametersOf } from './parameters.js';

class AuditParams {
  constructor(
    readonly lockFile: string,
    readonly depth = 3,
  ) {}
  get both(): string {
    return `${this.lockFile}${this.depth}`;
  }
}

describe('parametersOf', () => {
  it.each<[string, unknown[], Record<string, unknown>]>([
    ['none', [], {}],
    ['one object: its fields', [{ a: 1, b: undefined }], { a: 1, b: undefined }],
    ['an object without fields, which is not none', [{}], { 0: {} }],
    ['an object that could be taken for arguments', [{ 0: 'a', 1: 'b' }], { 0: { 0: 'a', 1: 'b' } }],
    ['an object whose fields are numbered otherwise', [{ 1: 'a' }], { 1: 'a' }],
    ['an object without a prototype', [Object.assign(Object.create(null) as object, { a: 1 })], { a: 1 }],
    ['an instance of a class: its fields', [new AuditParams('a.json')], { lockFile: 'a.json', depth: 3 }],
    ['one number', [7], { 0: 7 }],
    ['one text', ['a'], { 0: 'a' }],
    ['null', [null], { 0: null }],
    ['undefined', [undefined], { 0: undefined }],
    ['one list', [[1, 2]], { 0: [1, 2] }],
    ['several arguments', ['a', { b: 1 }, null], { 0: 'a', 1: { b: 1 }, 2: null }],
    ['two objects', [{ a: 1 }, { b: 2 }], { 0: { a: 1 }, 1: { b: 2 } }],
  ])('of %s', (_, args, expected) => {
    expect(parametersOf(args)).toEqual(expected);
  });

  it.each<[string, object]>([
    ['a date', new Date(0)],
    ['a map', new Map([['a', 1]])],
    ['a set', new Set([1])],
    ['a regular expression', /x/g],
    ['a URL', new URL('https://example.org/a?b=1')],
    ['an error', new TypeError('no')],
    ['binary data', Buffer.from('abc')],
    ['an array buffer', new ArrayBuffer(2)],
  ])('keep %s whole: it is more than its fields', (_, value) => {
    const parameters = parametersOf([value]);
    expect(Object.keys(parameters)).toEqual(['0']);
    expect(parameters['0']).toBe(value);
  });

  it('are a copy, at the top', () => {
    const only = { a: 1 };
    expect(parametersOf([only])).not.toBe(only);
  });
});

describe('argumentsOf', () => {
  /** What a run begins with: its recorded parameters, decoded. */
  const again = (args: readonly unknown[]): unknown[] =>
    argumentsOf(decode(encode(parametersOf(args))) as Record<string, unknown>);

  it.each<[string, unknown[]]>([
    ['none', []],
    ['one object', [{ a: 1 }]],
    ['an object without fields', [{}]],
    ['an object numbered like arguments', [{ 0: 'a' }]],
    ['an object numbered from one', [{ 1: 'a' }]],
    ['an object with a number among its fields', [{ 0: 'a', b: 1 }]],
    ['an object with a field that is undefined', [{ a: undefined }]],
    ['undefined', [undefined]],
    ['undefined last', ['a', undefined]],
    ['null', [null]],
    ['one list', [[1, 2]]],
    ['a list without elements', [[]]],
    ['a date', [new Date(0)]],
    ['a map', [new Map([['a', 1n]])]],
    ['eleven arguments, in their order', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['a field called like the prototype', [JSON.parse('{"__proto__":{"a":1},"b":2}')]],
  ])('gives back %s', (_, args) => {
    expect(again(args)).toEqual(args);
    expect(again(args)).toHaveLength(args.length);
  });

  it('gives an instance of a class back as plain data', () => {
    expect(again([new AuditParams('a.json')])).toEqual([{ lockFile: 'a.json', depth: 3 }]);
  });

  it('gives back whatever arguments the encoding keeps', () => {
    const value = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: false,
      withSparseArray: false,
    });
    const args = fc.oneof(
      fc.array(value, { maxLength: 12 }),
      fc.tuple(fc.dictionary(fc.oneof(fc.nat(3).map(String), fc.string()), value)),
    );
    const isKept = (one: unknown[]): boolean => {
      try {
        expect(decode(encode(one))).toEqual(one);
        return true;
      } catch {
        return false; // it has no form, or one of its own
      }
    };
    fc.assert(
      fc.property(args, (one) => {
        fc.pre(isKept(one));
        expect(again(one)).toEqual(one);
        expect(again(one)).toHaveLength(one.length);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the parameters of a registered class', () => {
  class AuditParams {
    constructor(readonly lockFile: string) {}
  }

  it('keep its instance whole', () => {
    const codec = classCodec({
      name: 'AuditParams',
      type: AuditParams,
      encode: ({ lockFile }) => lockFile,
      decode: (lockFile) => new AuditParams(lockFile),
    });
    const params = new AuditParams('a.json');
    expect(parametersOf([params], new ClassRegistry([codec]))).toEqual({ 0: params });
  });
});

describe('callWithParameters', () => {
  const schema = { title: 'Parameters', type: 'object', properties: {} } as const;
  const receiver = { owner: 'me' };
  const called: unknown[] = [];
  const invoke = async (on: object, args: readonly unknown[]): Promise<string> => {
    called.push([on, ...args]);
    return 'done';
  };
  beforeEach(() => called.splice(0));

  it.each([
    ['as they are where nothing is checked', null, [1]],
    ['as they are given back', () => ['one'], ['one']],
    ['once they are given back', async () => ['one'], ['one']],
  ])('hands the arguments on %s', async (_, validated, expected) => {
    const flow = { invoke, parameters: { schema, validated } };
    expect(await callWithParameters(flow, receiver, [1], new Attempt('run', 1, null))).toBe('done');
    expect(called).toEqual([[receiver, ...expected]]);
  });

  it('calls nothing for an attempt that has ended meanwhile', async () => {
    const attempt = new Attempt('run', 1, null);
    const flow = { invoke, parameters: { schema, validated: async () => [1] } };
    const call = callWithParameters(flow, receiver, [1], attempt);
    attempt.end('it timed out');
    await expect(call).rejects.toThrow(RunEndedError);
    expect(called).toEqual([]);
  });
});
