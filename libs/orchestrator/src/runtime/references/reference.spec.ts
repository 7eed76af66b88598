import { decode, encode, ClassRegistry } from '@nestor/core';
import { block, json, Reference, REFERENCE_CODEC, template, variable } from './reference.js';
import { referencesIn, withValues } from './referring-data.js';

const problemOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('a reference', () => {
  it.each<[Reference<unknown>, unknown, string]>([
    [variable('region'), { __prefect_kind: 'workspace_variable', variable_name: 'region' }, 'Variable "region"'],
    [
      template('In {{ variables.region }}'),
      { __prefect_kind: 'jinja', template: 'In {{ variables.region }}' },
      'The template "In {{ variables.region }}"',
    ],
    [json('[1]'), { __prefect_kind: 'json', value: '[1]' }, 'The JSON of a text'],
    [
      json(template('{{ variables.a }}')),
      { __prefect_kind: 'json', value: { __prefect_kind: 'jinja', template: '{{ variables.a }}' } },
      'The JSON of The template "{{ variables.a }}"',
    ],
    [block('mail-server/main'), { $ref: { block: 'mail-server/main' } }, 'Block "mail-server/main"'],
    [
      block('mail-server/main', 'keys.0'),
      { $ref: { block: 'mail-server/main', path: 'keys.0' } },
      '"keys.0" of block "mail-server/main"',
    ],
  ])('is kept as itself, written as clients write it, and told by name: %s', (reference, wire, name) => {
    const classes = new ClassRegistry([REFERENCE_CODEC]);
    const kept = decode(encode({ a: reference }, { subject: 'it', classes }), { classes }) as { a: unknown };
    expect(kept.a).toEqual(reference);
    expect(kept.a).toBeInstanceOf(Reference);
    expect(JSON.parse(JSON.stringify(reference))).toEqual(wire);
    expect(String(reference)).toBe(name);
  });

  it('is none where it only looks like one', () => {
    const classes = new ClassRegistry([REFERENCE_CODEC]);
    const text = encode({ a: variable('x') }, { subject: 'it', classes });
    const forged = JSON.parse(text) as unknown;
    const kept = decode(encode(forged, { subject: 'it', classes }), { classes });
    expect(kept).toEqual(forged);
    expect(referencesIn(kept)).toEqual([]);
    expect(referencesIn(JSON.parse(JSON.stringify({ a: variable('x') })))).toEqual([]);
  });

  it.each([
    [() => variable('Region'), /no variable can be called that/],
    [() => variable(''), /no variable can be called that/],
    [() => template('{{ variables.region'), /"\{\{" without "\}\}"/],
    [() => template('{{ 1 + 1 }}'), /"1 \+ 1" is no path/],
    [() => template('{{ variables }}'), /"variables" is not known/],
    [() => template('{{ variables.x | upper }}'), /is no path/],
    [() => template('{{ process.env.HOME }}'), /"process.env.HOME" is not known/],
    [() => template('{{ constructor.constructor }}'), /is not known/],
    [() => template('{{ flow.name.length }}'), /is not known/],
    [() => json(block<string>('mail-server/main', 'host')), /may be a template or a variable/],
    [() => block('mail-server/'), /slug and its name/],
    [() => block('Mail/main'), /slug and its name/],
  ])('cannot be written in a way that means nothing: %#', (work, problem) => {
    expect(problemOf(work)).toMatchObject({
      code: 'INVALID_REFERENCE',
      problem: expect.stringMatching(problem) as string,
    });
  });

  it('cannot be one to a class that is no block', () => {
    class Plain {}
    expect(problemOf(() => block(Plain, 'main'))).toMatchObject({ code: 'NOT_A_BLOCK' });
  });

  it('is found wherever it is in plain data, and values take its place there alone', () => {
    const [one, other] = [variable('one'), variable('other')];
    const data = { a: one, list: [1, { deep: other }, one], date: new Date(0), plain: { x: 1 } };
    const found = referencesIn(data);
    expect(found.map(({ path }) => path)).toEqual(['a', 'list[1].deep', 'list[2]']);
    const known = withValues(data, new Map([[one, 'first']])) as typeof data;
    expect(known).toEqual({ a: 'first', list: [1, { deep: other }, 'first'], date: new Date(0), plain: { x: 1 } });
    expect(known.plain).toBe(data.plain);
    expect(known.list[1]).toBe(data.list[1]);
    expect(withValues(data, new Map())).toBe(data);
  });

  it('is found beside one whose place is told alike, because names have dots', () => {
    const [one, other] = [variable('one'), variable('other')];
    const found = referencesIn({ 'a.b': one, a: { b: other } });
    expect(found.map(({ reference }) => reference)).toEqual([one, other]);
  });
});
