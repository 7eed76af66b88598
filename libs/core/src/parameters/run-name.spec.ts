import { formatRunName, RunNameTemplateError } from './run-name.js';

const cycle: Record<string, unknown> = {};
cycle.self = cycle;

describe('formatRunName', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['nightly', {}, 'nightly'],
    ['import {name}', { name: 'orders' }, 'import orders'],
    ['{a}-{b}-{a}', { a: 1, b: true }, '1-true-1'],
    ['order {order.id}', { order: { id: 7 } }, 'order 7'],
    ['first {items.0}', { items: ['x', 'y'] }, 'first x'],
    ['{{not a parameter}} {a}', { a: null }, '{not a parameter} null'],
    ['{{{a}}}', { a: 1 }, '{1}'],
    ['{größe}', { größe: 'XL' }, 'XL'],
    ['{at}', { at: new Date(0) }, '1970-01-01T00:00:00.000Z'],
    ['{big}', { big: 2n ** 64n }, '18446744073709551616'],
    ['{list}', { list: [1, 'a'] }, '[1,"a"]'],
    ['{missing}', { missing: undefined }, 'undefined'],
    ['{cycle}', { cycle }, '<object>'],
    ['{a}', { a: '{b}', b: 'never' }, '{b}'],
    ['{a}', { a: '$& $1' }, '$& $1'],
  ])('%s with %p is %s', (template, parameters, expected) => {
    expect(formatRunName(template, parameters)).toBe(expected);
  });

  it.each<[string, Record<string, unknown>]>([
    ['{nmae}', { name: 'x' }],
    ['{order.id}', { order: {} }],
    ['{order.id}', { order: null }],
    ['{name.length.x}', { name: 'x' }],
    ['{constructor}', {}],
    ['{__proto__}', {}],
    ['{order.constructor}', { order: {} }],
    ['{}', {}],
    ['{a b}', {}],
    ['{a', { a: 1 }],
    ['a}', { a: 1 }],
  ])('refuses %s of %j', (template, parameters) => {
    expect(() => formatRunName(template, parameters)).toThrow(RunNameTemplateError);
  });

  it('says which placeholder names nothing, and what there is to name', () => {
    expect(() => formatRunName('import {nmae}', { name: 'x', at: 1 })).toThrow(
      'The run name "import {nmae}" has the placeholder {nmae}, which names nothing; parameters are {name}, {at}.',
    );
  });
});
