import { MalformedEncodingError } from './malformed-encoding-error.js';
import { TAG } from './tags.js';

/**
 * What is kept in the place of an encoded text: its bytes after some codecs, or where those bytes are.
 *
 * An encoded value never reads like an envelope: an object that has the tag as a key itself is escaped.
 */
export type PayloadEnvelope = {
  /** The names of the codecs, in the order in which they were applied. */
  readonly codecs: readonly string[];
} & (
  | { /** Base64. */ readonly data: string }
  | { readonly store: string; readonly key: string; /** Bytes. */ readonly size: number }
);

const BEGINNING = `{"${TAG}":"payload",`;
const KEY = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function writeEnvelope(envelope: PayloadEnvelope): string {
  return BEGINNING + JSON.stringify(envelope).slice(1);
}

/**
 * The envelope that a kept text is; `null` when it is an encoded value itself, as most are.
 *
 * @throws {MalformedEncodingError} when it is an envelope that cannot be read.
 */
export function readEnvelope(text: string): PayloadEnvelope | null {
  if (!text.startsWith(BEGINNING)) return null;
  const { codecs, data, store, key, size } = parsed(text);
  if (Array.isArray(codecs) && codecs.every((name) => typeof name === 'string')) {
    if (typeof data === 'string') return { codecs, data };
    if (typeof store === 'string' && typeof key === 'string' && KEY.test(key) && typeof size === 'number') {
      return { codecs, store, key, size };
    }
  }
  throw new MalformedEncodingError('the envelope of a payload has an unexpected form');
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new MalformedEncodingError('the envelope of a payload is no JSON', { cause: error });
  }
}
