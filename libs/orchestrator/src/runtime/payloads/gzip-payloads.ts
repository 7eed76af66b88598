import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { PayloadCodec } from './payload-codec.js';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** More than a payload may have: what expands beyond it was made to exhaust memory. */
const MAX_EXPANDED_BYTES = 256 * 1024 * 1024;

/**
 * Compresses payloads. Give it before a codec that encrypts: what is encrypted cannot be compressed any more.
 *
 * @param options `from`: payloads below so many bytes stay as they are, default 1,024; so do those that would not shrink.
 */
export function gzipPayloads({ from = 1_024 }: { readonly from?: number } = {}): PayloadCodec {
  return {
    name: 'gzip',
    encode: async (bytes) => {
      if (bytes.length < from) return null;
      const compressed = await compress(bytes);
      return compressed.length < bytes.length ? compressed : null;
    },
    decode: (bytes) => decompress(bytes, { maxOutputLength: MAX_EXPANDED_BYTES }),
  };
}
