import { RowSet } from './row-set.js';

interface Row {
  readonly id: string | null;
  readonly count: number;
  readonly text: string | null;
  readonly isNew: boolean;
}

const rows = new RowSet<Row>([
  ['id', 'uuid', ({ id }) => id],
  ['count', 'integer', ({ count }) => count],
  ['text', 'text', ({ text }) => text],
  ['is_new', 'boolean', ({ isNew }) => isNew],
]);
const row = (over: Partial<Row> = {}): Row => ({ id: 'a1', count: 1, text: 'x', isNew: true, ...over });
const textOf = (text: string | null): string => rows.parameters([row({ text })])[2]!;

describe('a set of rows', () => {
  it('names its columns as an insert lists them', () => {
    expect(rows.names).toBe('id, count, text, is_new');
  });

  it('is a relation of one array per column, numbered from the parameter it is told', () => {
    expect(rows.source(4, 't')).toBe(
      '(select element.* from (select $4::uuid[] as a0, $5::integer[] as a1, $6::text[] as a2, $7::boolean[] as a3 offset 0) as given ' +
        'cross join unnest(given.a0, given.a1, given.a2, given.a3) as element(id, count, text, is_new)) as t',
    );
  });

  it('takes as many parameters as it says, however many rows there are', () => {
    expect(rows.width).toBe(4);
    for (const count of [0, 1, 1_000]) {
      expect(rows.parameters(Array.from({ length: count }, () => row()))).toHaveLength(4);
    }
  });

  it('writes each column as the text of an array', () => {
    expect(rows.parameters([row(), row({ id: null, count: -7, text: null, isNew: false })])).toEqual([
      '{a1,NULL}',
      '{1,-7}',
      '{"x",NULL}',
      '{true,false}',
    ]);
  });

  it('of no rows is arrays without elements', () => {
    expect(rows.parameters([])).toEqual(['{}', '{}', '{}', '{}']);
  });

  it.each<[string, string | null, string]>([
    ['nothing', null, '{NULL}'],
    ['the word for nothing', 'NULL', '{"NULL"}'],
    ['an empty text', '', '{""}'],
    ['quotes', 'a"b', '{"a\\"b"}'],
    ['backslashes', 'a\\b\\', '{"a\\\\b\\\\"}'],
    ['commas and braces', '{a,b}', '{"{a,b}"}'],
    ['line ends and spaces at the ends', ' \r\n\t', '{" \r\n\t"}'],
    ['other scripts', 'żółw 🐢 “x”', '{"żółw 🐢 “x”"}'],
    ['json', '{"a":["\\n"]}', '{"{\\"a\\":[\\"\\\\n\\"]}"}'],
  ])('tells %s from everything else', (_, text, expected) => {
    expect(textOf(text)).toBe(expected);
  });
});
