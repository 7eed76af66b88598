import { checkedKey, linkData, progressData, tableData, textData } from './artifact-data.js';

const problemOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('what artifacts say', () => {
  it.each(['a', 'nightly-report-2', '0', '-', 'a'.repeat(255)])('takes the key %j', (key) => {
    expect(checkedKey(key)).toBe(key);
  });

  it.each(['', 'A', 'a b', 'ä', 'a_b', 'a/b', 'a\n', 'a'.repeat(256)])('refuses the key %j', (key) => {
    expect(problemOf(() => checkedKey(key))).toMatchObject({ code: 'INVALID_ARTIFACT', field: 'key' });
  });

  it.each([
    ['https://a.example/x', undefined, '[https://a.example/x](https://a.example/x)'],
    ['https://a.example/x', 'the report', '[the report](https://a.example/x)'],
    ['https://a.example/(x) y', 'a [b] \\', '[a \\[b\\] \\\\](https://a.example/%28x%29%20y)'],
  ])('writes the link %j with the text %j as Markdown', (link, text, expected) => {
    expect(linkData(link, text)).toBe(expected);
  });

  it('refuses an empty link', () => {
    expect(problemOf(() => linkData(' '))).toMatchObject({ field: 'link' });
  });

  it('writes tables as JSON, by rows or by columns', () => {
    expect(
      tableData([
        { b: 1, a: 'x' },
        { b: NaN, a: 10n },
      ]),
    ).toBe('[{"b":1,"a":"x"},{"b":null,"a":"10"}]');
    expect(tableData({ b: [1, null], a: [new Date(0), undefined] })).toBe(
      '{"b":[1,null],"a":["1970-01-01T00:00:00.000Z",null]}',
    );
    expect(tableData([])).toBe('[]');
  });

  it.each<[string, any]>([
    ['a text', 'a'],
    ['nothing', null],
    ['rows that are lists', [[1]]],
    ['columns that are no lists', { a: 1 }],
    ['rows that contain themselves', (() => [((row: Record<string, unknown>) => (row.self = row))({})])()],
  ])('refuses as table %s', (_, table) => {
    expect(problemOf(() => tableData(table))).toMatchObject({ field: 'table' });
  });

  it('refuses what is too long to look at', () => {
    expect(problemOf(() => textData('x'.repeat(10 * 1024 * 1024 + 1), 'markdown'))).toMatchObject({
      field: 'markdown',
    });
    expect(problemOf(() => textData(1 as unknown as string, 'markdown'))).toMatchObject({
      problem: 'is a number; it must be a text',
    });
  });

  it.each([0, 0.5, 100])('takes the progress %d', (progress) => {
    expect(progressData(progress)).toBe(progress);
  });

  it.each([-1, 100.01, NaN, Infinity, '5' as unknown as number])('refuses the progress %p', (progress) => {
    expect(problemOf(() => progressData(progress))).toMatchObject({ field: 'progress' });
  });
});
