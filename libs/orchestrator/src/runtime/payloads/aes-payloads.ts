import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { PayloadCodec } from './payload-codec.js';
import { InvalidPayloadOptionError } from './payload-errors.js';

/** A key for {@link aesPayloads}. Keep it outside the database. */
export interface AesKey {
  /** Tells keys apart; stands beside every payload, in clear. 1 to 100 letters, digits and the signs _ . : - */
  readonly id: string;
  /** 32 random bytes, or their text in base64 or hexadecimal: `openssl rand -base64 32`. */
  readonly key: Uint8Array | string;
}

const NAME = 'aes-256-gcm';
const OPTION = 'payloads.codec (aesPayloads)';
const FORMAT = 1;
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const ID = /^[\w.:-]{1,100}$/;

/**
 * Encrypts payloads with AES-256-GCM, under a random nonce each; one that was changed is refused.
 *
 * To rotate, put a new key first: the first one encrypts, all of them decrypt. An old one may go when no payload that it
 * encrypted is kept any more. Each payload is protected by itself: who may write to the database can still put one payload
 * in the place of another. One key is good for four thousand million payloads.
 *
 * Messages of failures, names, tags, keys of calls and log lines are no payloads; they stay readable.
 *
 * @example
 * ```ts
 * OrchestratorModule.forRoot({
 *   payloads: { codec: [gzipPayloads(), aesPayloads([{ id: '2026', key: newKey }, { id: '2025', key: oldKey }])] },
 * });
 * ```
 * @throws {InvalidPayloadOptionError} when a key has not 32 bytes, or two have one id.
 */
export function aesPayloads(keys: AesKey | readonly AesKey[]): PayloadCodec {
  const ring = new Map<string, Buffer>();
  for (const { id, key } of isList(keys) ? keys : [keys]) {
    if (!ID.test(id)) throw new InvalidPayloadOptionError(OPTION, `has a key with the id "${id}"; see AesKey.id`);
    if (ring.has(id)) throw new InvalidPayloadOptionError(OPTION, `has two keys with the id "${id}"`);
    ring.set(id, bytesOf(id, key));
  }
  const [first] = ring;
  if (!first) throw new InvalidPayloadOptionError(OPTION, 'has no key');
  const [currentId, currentKey] = first;
  return {
    name: NAME,
    encode: (bytes) => encrypt(bytes, currentId, currentKey),
    decode: (bytes) => decrypt(bytes, ring),
  };
}

/** Format, length of the key's id, the id; nonce; what is encrypted; its tag, which covers the beginning as well. */
function encrypt(bytes: Uint8Array, id: string, key: Buffer): Buffer {
  const header = Buffer.from([FORMAT, id.length, ...Buffer.from(id, 'latin1')]);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(NAME, key, iv).setAAD(header);
  return Buffer.concat([header, iv, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(bytes: Uint8Array, ring: ReadonlyMap<string, Buffer>): Buffer {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerEnd = 2 + (all[1] ?? 0);
  const ivEnd = headerEnd + IV_BYTES;
  const tagStart = all.length - TAG_BYTES;
  if (all[0] !== FORMAT || ivEnd > tagStart) throw new Error('it is not of the form that this codec writes');
  const id = all.toString('latin1', 2, headerEnd);
  const key = ring.get(id);
  if (!key) throw new Error(`it was encrypted with the key "${id}", and there are only ${[...ring.keys()].join(', ')}`);
  const decipher = createDecipheriv(NAME, key, all.subarray(headerEnd, ivEnd), { authTagLength: TAG_BYTES })
    .setAAD(all.subarray(0, headerEnd))
    .setAuthTag(all.subarray(tagStart));
  try {
    return Buffer.concat([decipher.update(all.subarray(ivEnd, tagStart)), decipher.final()]);
  } catch (error) {
    throw new Error(`it was changed, or encrypted with another key of the id "${id}"`, { cause: error });
  }
}

function bytesOf(id: string, key: Uint8Array | string): Buffer {
  const encoding = typeof key === 'string' && /^[0-9a-f]{64}$/i.test(key) ? 'hex' : 'base64';
  const bytes = typeof key === 'string' ? Buffer.from(key, encoding) : Buffer.from(key);
  if (bytes.length === KEY_BYTES) return bytes;
  throw new InvalidPayloadOptionError(
    OPTION,
    `has the key "${id}" of ${bytes.length} bytes; it must have ${KEY_BYTES}`,
  );
}

function isList(keys: AesKey | readonly AesKey[]): keys is readonly AesKey[] {
  return Array.isArray(keys);
}
