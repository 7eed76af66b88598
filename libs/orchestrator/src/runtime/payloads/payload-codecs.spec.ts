import * as fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { aesPayloads } from './aes-payloads.js';
import { gzipPayloads } from './gzip-payloads.js';
import type { PayloadCodec } from './payload-codec.js';

const encoded = async (codec: PayloadCodec, bytes: Uint8Array): Promise<Uint8Array> => (await codec.encode(bytes))!;

describe('aesPayloads', () => {
  const [first, second] = [randomBytes(32), randomBytes(32)];
  const old = aesPayloads({ id: '2025', key: first });
  const rotated = aesPayloads([
    { id: '2026', key: second },
    { id: '2025', key: first },
  ]);

  it('brings back any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const back = await old.decode(await encoded(old, bytes));
        expect(new Uint8Array(back)).toEqual(bytes);
      }),
    );
  });

  it('shows nothing of them, and never the same twice', async () => {
    const secret = Buffer.from('the secret');
    const [one, other] = [await encoded(old, secret), await encoded(old, secret)];
    expect(Buffer.from(one).includes('secret')).toBe(false);
    expect(one).not.toEqual(other);
  });

  it('reads what an earlier key encrypted, and encrypts with the first', async () => {
    expect(Buffer.from(await rotated.decode(await encoded(old, Buffer.from('a')))).toString()).toBe('a');
    const later = aesPayloads({ id: '2026', key: second });
    expect(Buffer.from(await later.decode(await encoded(rotated, Buffer.from('b')))).toString()).toBe('b');
  });

  it('takes keys as base64 and hexadecimal', async () => {
    for (const key of [first.toString('base64'), first.toString('hex')]) {
      const bytes = await encoded(aesPayloads({ id: '2025', key }), Buffer.from('a'));
      expect(Buffer.from(await old.decode(bytes)).toString()).toBe('a');
    }
  });

  it('refuses what was changed, wherever', async () => {
    const bytes = await encoded(old, Buffer.from('something'));
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      expect(() => old.decode(changed)).toThrow();
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => old.decode(bytes.subarray(0, length))).toThrow();
    }
  });

  it('says which key is missing, or that it is another one of that name', async () => {
    const bytes = await encoded(rotated, Buffer.from('a'));
    expect(() => old.decode(bytes)).toThrow('encrypted with the key "2026", and there are only 2025');
    expect(() => aesPayloads({ id: '2026', key: first }).decode(bytes)).toThrow(/another key of the id "2026"/);
  });

  it('takes its keys as a text', async () => {
    const text = [`2026:${second.toString('base64')}`, ` 2025:${first.toString('hex')}`].join(',');
    const bytes = await encoded(aesPayloads(text), Buffer.from('a'));
    expect(Buffer.from(await rotated.decode(bytes)).toString()).toBe('a');
    expect(Buffer.from(await aesPayloads(text).decode(await encoded(old, Buffer.from('b')))).toString()).toBe('b');
  });

  it.each<[string, Parameters<typeof aesPayloads>[0], RegExp]>([
    ['no key', [], /has no key/],
    ['a text that is no key', '2026:hunter2', /"2026" of \d+ bytes; it must have 32/],
    ['a key that is too short', { id: 'a', key: 'c2hvcnQ=' }, /"a" of 5 bytes; it must have 32/],
    ['two keys of one id', [{ id: 'a', key: first }, { id: 'a', key: second }], /two keys with the id "a"/],
    ['an id that is none', { id: 'ä', key: first }, /id "ä"/],
  ])('refuses %s', (_, keys, message) => {
    expect(() => aesPayloads(keys)).toThrow(message);
    expect(() => aesPayloads(keys)).toThrow(expect.objectContaining({ code: 'INVALID_PAYLOAD_OPTION' }));
  }); // prettier-ignore
});

describe('gzipPayloads', () => {
  it('brings back what it compressed', async () => {
    const text = Buffer.from('{"a":1}'.repeat(1_000));
    const bytes = await encoded(gzipPayloads(), text);
    expect(bytes.length).toBeLessThan(200);
    expect(Buffer.from(await gzipPayloads().decode(bytes))).toEqual(text);
  });

  it.each<[string, Uint8Array]>([
    ['short', Buffer.alloc(1_023)],
    ['not shorter for it', randomBytes(4_096)],
  ])('leaves what is %s', async (_, bytes) => {
    expect(await gzipPayloads().encode(bytes)).toBeNull();
  });

  it('refuses what is no gzip, or would fill the memory', async () => {
    await expect(gzipPayloads().decode(Buffer.from('plain'))).rejects.toThrow(/header/);
    await expect(gzipPayloads().decode(gzipSync(Buffer.alloc(257 * 1024 * 1024)))).rejects.toThrow(/larger than/);
  });
});
