import { randomBytes } from 'node:crypto';
import { AesKeyRing } from './aes-key-ring.js';

const invalid = (problem: string): Error => new Error(`The ring ${problem}.`);

describe('a ring of keys', () => {
  const [first, second] = [randomBytes(32), randomBytes(32)];
  const old = new AesKeyRing([{ id: '2025', key: first }], invalid);
  const rotated = new AesKeyRing(
    [
      { id: '2026', key: second },
      { id: '2025', key: first },
    ],
    invalid,
  );

  it('decrypts only in the context that was encrypted for', () => {
    const bytes = old.encrypt(Buffer.from('a'), 'document 1');
    expect(old.decrypt(bytes, 'document 1').toString()).toBe('a');
    for (const context of ['document 2', '', 'document 1 ']) {
      expect(() => old.decrypt(bytes, context)).toThrow(/it was changed/);
    }
    expect(bytes.includes('document')).toBe(false);
  });

  it('tells what the first key encrypted from what an earlier one did', () => {
    expect(rotated.isCurrent(old.encrypt(Buffer.from('a')))).toBe(false);
    expect(rotated.isCurrent(rotated.encrypt(Buffer.from('a')))).toBe(true);
  });

  it('is none without keys', () => {
    expect(() => new AesKeyRing([], invalid)).toThrow('The ring has no key.');
  });
});
