import * as fc from 'fast-check';
import { decode } from './decode.js';
import { encode } from './encode.js';
import { MalformedEncodingError } from './malformed-encoding-error.js';
import { readEnvelope, writeEnvelope, type PayloadEnvelope } from './payload-envelope.js';

const inline: PayloadEnvelope = { codecs: ['gzip', 'aes-256-gcm'], data: 'aGk=' };
const stored: PayloadEnvelope = {
  codecs: [],
  store: 'database',
  key: '01a201cf-f4dd-7000-98e7-1976c9bbcf07',
  size: 70_000,
};

describe('the envelope of a payload', () => {
  it.each([inline, stored])('is read as it was written: %j', (envelope) => {
    expect(readEnvelope(writeEnvelope(envelope))).toEqual(envelope);
    expect(() => decode(writeEnvelope(envelope))).toThrow(MalformedEncodingError); // never taken for a value
  });

  it('is nothing that data can look like', () => {
    const anything = fc.anything({ withMap: true, withDate: true, withNullPrototype: true });
    const alike = fc.record({ $nestor: fc.constant('payload'), codecs: fc.constant([]), data: fc.string() });
    const text = fc.string().map((end) => writeEnvelope(inline) + end);
    fc.assert(
      fc.property(fc.oneof(anything, alike, text), (value) => {
        expect(readEnvelope(encode(value))).toBeNull();
      }),
      { numRuns: 1_000 },
    );
    for (const envelope of [inline, stored]) {
      const lookalike: unknown = JSON.parse(writeEnvelope(envelope));
      expect(decode(encode(lookalike))).toEqual(lookalike);
    }
  });

  it.each([
    ['is cut off', '{"$nestor":"payload","codecs":['],
    ['names no codecs', '{"$nestor":"payload","data":"aGk="}'],
    ['has neither data nor place', '{"$nestor":"payload","codecs":[]}'],
    ['has codecs that are no names', '{"$nestor":"payload","codecs":[1],"data":"aGk="}'],
    [
      'leads out of its store',
      '{"$nestor":"payload","codecs":[],"store":"directory","key":"../../etc/passwd","size":1}',
    ],
    ['has no size', '{"$nestor":"payload","codecs":[],"store":"a","key":"01a201cf-f4dd-7000-98e7-1976c9bbcf07"}'],
  ])('is malformed when it %s', (_, text) => {
    expect(() => readEnvelope(text)).toThrow(MalformedEncodingError);
  });
});
