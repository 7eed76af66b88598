import { classCodec, ClassRegistry } from '@nestor/core';
import { parametersOf } from './parameters.js';

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
    ['an object without fields', [{}], {}],
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

  it('keep an instance of a registered class whole', () => {
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
