import { isStorable, storableJson, storableText } from './storable-json.js';

describe('what PostgreSQL does not take', () => {
  it.each([
    ['a NUL', 'a\0b', 'a\\0b'],
    ['a lone surrogate', 'a\ud800b', 'a\ufffdb'],
    ['a lone surrogate at the end', 'a\udfff', 'a\ufffd'],
    ['nothing of the kind', 'a\\u0000 “😀”\n', 'a\\u0000 “😀”\n'],
  ])('%s is spelt otherwise, in texts and in JSON', (_, text, expected) => {
    expect(isStorable(text)).toBe(text === expected);
    expect(isStorable(expected)).toBe(true);
    expect(storableText(text)).toBe(expected);
    expect(JSON.parse(storableJson({ [text]: [text, 1, null] }))).toEqual({ [expected]: [expected, 1, null] });
  });
});
