import { AES_256_GCM, AesKeyRing } from '../secrets/aes-key-ring.js';
import { secretKeysOf, type SecretKeyOption } from '../secrets/secret-key-option.js';
import type { PayloadCodec } from './payload-codec.js';
import { InvalidPayloadOptionError } from './payload-errors.js';

const OPTION = 'payloads.codec (aesPayloads)';

/**
 * Encrypts payloads with AES-256-GCM, under a random nonce each; one that was changed is refused.
 *
 * To rotate, put a new key first: the first one encrypts, all of them decrypt. An old one may go when no payload that it
 * encrypted is kept any more. Each payload is protected by itself: who may write to the database can still put one payload
 * in the place of another. One key is good for four thousand million payloads.
 *
 * Messages of failures, names, tags, keys of calls and log lines are no payloads; they stay readable.
 *
 * @param keys as of option `secretKey`: objects, or a text such as `2026:…,2025:…`.
 *
 * @example
 * ```ts
 * OrchestratorModule.forRoot({
 *   payloads: { codec: [gzipPayloads(), aesPayloads([{ id: '2026', key: newKey }, { id: '2025', key: oldKey }])] },
 * });
 * ```
 * @throws {InvalidPayloadOptionError} when a key has not 32 bytes, or two have one id.
 */
export function aesPayloads(keys: SecretKeyOption): PayloadCodec {
  const ring = new AesKeyRing(secretKeysOf(keys), (problem) => new InvalidPayloadOptionError(OPTION, problem));
  return {
    name: AES_256_GCM,
    encode: (bytes) => ring.encrypt(bytes),
    decode: (bytes) => ring.decrypt(bytes),
  };
}
