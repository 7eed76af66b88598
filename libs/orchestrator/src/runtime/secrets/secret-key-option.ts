import { createHash } from 'node:crypto';
import { bytesOfKey, type AesKey } from './aes-key-ring.js';

/**
 * Keys for secrets: the first one encrypts, all of them decrypt. As text: one key, or several with commas in between, each 32
 * random bytes in base64 or hexadecimal, with an id and a colon before it if you like: `2026:…,2025:…`.
 */
export type SecretKeyOption = string | AesKey | readonly AesKey[];

/** The keys that an option means. One without an id is told apart by the beginning of its hash. */
export function secretKeysOf(option: SecretKeyOption | undefined): readonly AesKey[] {
  if (option === undefined) return [];
  if (typeof option !== 'string') return isList(option) ? option : [option];
  return option.split(',').map((part) => keyOfText(part.trim()));
}

/** A key as it is written: `<key>` or `<id>:<key>`. */
export function keyOfText(text: string): AesKey {
  const colon = text.lastIndexOf(':');
  const key = text.slice(colon + 1);
  return { id: colon < 0 ? fingerprint(key) : text.slice(0, colon), key };
}

/** 32 bits of the hash of 256 random ones: enough to tell a few keys apart, and nothing to find them by. */
function fingerprint(key: string): string {
  return createHash('sha256').update(bytesOfKey(key)).digest('hex').slice(0, 8);
}

function isList(option: AesKey | readonly AesKey[]): option is readonly AesKey[] {
  return Array.isArray(option);
}
