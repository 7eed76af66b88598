import type { ClassRegistry } from './class-registry.js';
import { Decoder } from './decoder.js';
import { MalformedEncodingError } from './malformed-encoding-error.js';
import { TAG } from './tags.js';

export interface DecodeOptions {
  /** The classes whose instances come back as such. Default: none. */
  readonly classes?: ClassRegistry;
}

const TAG_IN_TEXT = `"${TAG}"`;

/**
 * Reads what `encode` wrote. Never executes anything found in the text, and never touches a prototype: a key `__proto__`
 * becomes an ordinary property. Of registered classes it calls the codec and nothing else.
 *
 * An instance whose class is not registered here comes back as the plain data that its codec wrote.
 *
 * An error whose class is one of the language's own (`TypeError`, `AggregateError`…) or registered comes back as an instance
 * of it, any other as a `RecordedError`. The constructor of a registered class is not called: the error has the recorded
 * message, stack, cause and fields, and no private ones. An error that needs those needs a codec.
 *
 * Plain JSON that `encode` did not write is read like `JSON.parse` reads it.
 *
 * @throws {MalformedEncodingError} when the text is not JSON, holds a tag or content this release does not know, or what a
 * codec does not take.
 */
export function decode(text: string, { classes }: DecodeOptions = {}): unknown {
  try {
    const json: unknown = JSON.parse(text);
    return text.includes(TAG_IN_TEXT) ? new Decoder(classes).decode(json) : json;
  } catch (error) {
    if (error instanceof MalformedEncodingError) throw error;
    throw new MalformedEncodingError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
