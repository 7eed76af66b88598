import { decode } from './decode.js';
import { MalformedEncodingError } from './malformed-encoding-error.js';

describe('decode', () => {
  it('reads JSON written by others', () => {
    expect(decode(' {"a": [1, {"b": null}]} ')).toEqual({ a: [1, { b: null }] });
  });

  it.each([
    ['an untagged __proto__', '{"__proto__":{"polluted":1}}'],
    [
      'a __proto__ with tagged content',
      '{"__proto__":{"$nestor":"map","value":[["polluted",1]]},"polluted":{"$nestor":"undefined"}}',
    ],
    ['an escaped __proto__', '{"$nestor":"object","value":[["__proto__",{"polluted":1}]]}'],
    [
      'a field __proto__ of an error',
      '{"$nestor":"error","class":"E","name":"E","message":"","fields":{"__proto__":{"polluted":1}}}',
    ],
  ])('keeps %s an ordinary property', (_, text) => {
    const value = decode(text) as object;
    expect(Object.hasOwn(value, '__proto__')).toBe(true);
    expect('polluted' in value && value.polluted).toBeFalsy();
    expect('polluted' in {}).toBe(false);
  });

  it.each([
    ['text that is not JSON', '{', /JSON/],
    ['empty text', '', /JSON/],
    ['an unknown tag', '{"$nestor":"temporal"}', /tag "temporal" is not known/],
    ['the envelope of a payload', '{"$nestor":"payload"}', /tag "payload" is not known/],
    ['a tag that is no text', '{"$nestor":{}}', /not known/],
    ['a number', '{"$nestor":"number","value":"toString"}', /"number" has an unexpected form/],
    ['a bigint', '{"$nestor":"bigint","value":"0x10"}', /"bigint"/],
    ['a string', '{"$nestor":"string","value":"1"}', /"string"/],
    ['a date', '{"$nestor":"date","value":"yesterday"}', /"date"/],
    ['a date without value', '{"$nestor":"date"}', /"date"/],
    ['a map', '{"$nestor":"map","value":[["a"]]}', /"map"/],
    ['a set', '{"$nestor":"set"}', /"set"/],
    ['an object', '{"$nestor":"object","value":[[1,2]]}', /"object"/],
    ['a regular expression', '{"$nestor":"regexp","source":"(","flags":""}', /regular expression/],
    ['a URL', '{"$nestor":"url","value":"nowhere"}', /URL/],
    ['base64', '{"$nestor":"binary","type":"Buffer","value":"a~b="}', /base64/],
    ['a kind of bytes', '{"$nestor":"binary","type":"Function","value":""}', /type "Function"/],
    ['the length of bytes', '{"$nestor":"binary","type":"Float64Array","value":"aGk="}', /multiple of 8/],
    ['an error', '{"$nestor":"error","message":"m"}', /"error"/],
    ['an instance without data', '{"$nestor":"class","name":"Money"}', /"class"/],
    ['an instance without class', '{"$nestor":"class","name":{"$nestor":"undefined"},"value":1}', /"class"/],
  ])('refuses %s that cannot be read', (_, text, reason) => {
    expect(() => decode(text)).toThrow(MalformedEncodingError);
    expect(() => decode(text)).toThrow(reason);
  });

  it('refuses tagged text that nests too deeply', () => {
    const text = `${'['.repeat(5_000)}{"$nestor":"undefined"}${']'.repeat(5_000)}`;
    expect(() => decode(text)).toThrow(/levels deep/);
  });
});
