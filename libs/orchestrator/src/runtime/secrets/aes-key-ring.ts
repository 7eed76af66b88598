import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** A key for encrypting with AES-256-GCM. Keep it outside the database. */
export interface AesKey {
  /** Tells keys apart; stands beside everything it encrypted, in clear. 1 to 100 letters, digits and the signs _ . : - */
  readonly id: string;
  /** 32 random bytes, or their text in base64 or hexadecimal: `openssl rand -base64 32`. */
  readonly key: Uint8Array | string;
}

/** The cipher, as Node and the codecs of payloads call it. */
export const AES_256_GCM = 'aes-256-gcm';

const FORMAT = 1;
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const ID = /^[\w.:-]{1,100}$/;

/** Keys of which the first encrypts and all decrypt, under a random nonce each time; what was changed is refused. */
export class AesKeyRing {
  private readonly keys: ReadonlyMap<string, Buffer>;
  private readonly current: readonly [id: string, key: Buffer];

  /** @param invalid makes the error that is thrown when the keys cannot be used, of a text such as `has no key`. */
  constructor(keys: readonly AesKey[], invalid: (problem: string) => Error) {
    const ring = new Map<string, Buffer>();
    for (const { id, key } of keys) {
      if (!ID.test(id)) throw invalid(`has a key with the id "${id}"; see AesKey.id`);
      if (ring.has(id)) throw invalid(`has two keys with the id "${id}"`);
      const bytes = bytesOfKey(key);
      if (bytes.length !== KEY_BYTES) {
        throw invalid(`has the key "${id}" of ${bytes.length} bytes; it must have ${KEY_BYTES}`);
      }
      ring.set(id, bytes);
    }
    const [first] = ring;
    if (!first) throw invalid('has no key');
    this.keys = ring;
    this.current = first;
  }

  /**
   * Format, length of the key's id, the id; nonce; what is encrypted; its tag, which covers the beginning as well.
   *
   * @param context what the bytes belong to: decrypted for anything else they are refused. It is not kept with them.
   */
  encrypt(bytes: Uint8Array, context = ''): Buffer {
    const [id, key] = this.current;
    const header = Buffer.from([FORMAT, id.length, ...Buffer.from(id, 'latin1')]);
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(AES_256_GCM, key, iv).setAAD(Buffer.concat([header, Buffer.from(context)]));
    return Buffer.concat([header, iv, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  }

  /**
   * The inverse.
   *
   * @throws an error that says why it cannot be decrypted: no such key, another key, changed, or of another context.
   */
  decrypt(bytes: Uint8Array, context = ''): Buffer {
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const headerEnd = 2 + (all[1] ?? 0);
    const ivEnd = headerEnd + IV_BYTES;
    const tagStart = all.length - TAG_BYTES;
    if (all[0] !== FORMAT || ivEnd > tagStart) throw new Error('it is not of the form that this codec writes');
    const id = all.toString('latin1', 2, headerEnd);
    const key = this.keys.get(id);
    if (!key) {
      throw new Error(`it was encrypted with the key "${id}", and there are only ${[...this.keys.keys()].join(', ')}`);
    }
    const decipher = createDecipheriv(AES_256_GCM, key, all.subarray(headerEnd, ivEnd), { authTagLength: TAG_BYTES })
      .setAAD(Buffer.concat([all.subarray(0, headerEnd), Buffer.from(context)]))
      .setAuthTag(all.subarray(tagStart));
    try {
      return Buffer.concat([decipher.update(all.subarray(ivEnd, tagStart)), decipher.final()]);
    } catch (error) {
      throw new Error(`it was changed, or encrypted with another key of the id "${id}"`, { cause: error });
    }
  }

  /** Whether it was encrypted with the key that encrypts now. */
  isCurrent(bytes: Uint8Array): boolean {
    return Buffer.from(bytes).toString('latin1', 2, 2 + (bytes[1] ?? 0)) === this.current[0];
  }
}

/** The bytes of a key; not 32 when its text is no key. */
export function bytesOfKey(key: Uint8Array | string): Buffer {
  if (typeof key !== 'string') return Buffer.from(key);
  return Buffer.from(key, /^[0-9a-f]{64}$/i.test(key) ? 'hex' : 'base64');
}
