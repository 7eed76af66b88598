import { decodeBinary } from './binary.js';
import { MalformedEncodingError } from './malformed-encoding-error.js';
import { RecordedError } from './recorded-error.js';
import { define, MAX_DEPTH, TAG, type Tagged } from './tags.js';

/** A map adds four levels of JSON where the value has one: the tagged object, its entries, an entry, the next value. */
const MAX_TEXT_DEPTH = 4 * MAX_DEPTH + 4;
const TAG_IN_TEXT = `"${TAG}"`;
const SPECIAL_NUMBERS: Readonly<Record<string, number>> = { NaN, Infinity, '-Infinity': -Infinity, '-0': -0 };
const INTEGER = /^-?\d+$/;

const ERROR_CLASSES: ReadonlyMap<string, new (message: string) => Error> = new Map(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
);

/**
 * Reads what `encode` wrote. Never executes anything found in the text, and never touches a prototype: a key `__proto__`
 * becomes an ordinary property.
 *
 * An error whose class is one of the language's own (`TypeError`, `AggregateError`…) comes back as an instance of it, any
 * other as a `RecordedError`. Plain JSON that `encode` did not write is read like `JSON.parse` reads it.
 *
 * @throws {MalformedEncodingError} when the text is not JSON or holds a tag or content this release does not know.
 */
export function decode(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text);
    return text.includes(TAG_IN_TEXT) ? revive(json, 0) : json;
  } catch (error) {
    if (error instanceof MalformedEncodingError) throw error;
    throw new MalformedEncodingError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Replaces tagged objects by what they stand for, in place. */
function revive(json: unknown, depth: number): unknown {
  if (typeof json !== 'object' || json === null) return json;
  if (depth > MAX_TEXT_DEPTH) throw new MalformedEncodingError(`it is more than ${MAX_TEXT_DEPTH} levels deep`);
  if (Array.isArray(json)) {
    for (let i = 0; i < json.length; i++) json[i] = revive(json[i], depth + 1);
    return json;
  }
  if (Object.hasOwn(json, TAG)) return reviveTagged(json as Tagged, depth);
  for (const key of Object.keys(json)) {
    const before = (json as Record<string, unknown>)[key];
    const after = revive(before, depth + 1);
    if (after !== before) define(json, key, after);
  }
  return json;
}

function reviveTagged(json: Tagged, depth: number): unknown {
  const { value } = json;
  switch (json[TAG]) {
    case 'undefined':
      return undefined;
    case 'number': {
      if (typeof value !== 'string' || !Object.hasOwn(SPECIAL_NUMBERS, value)) throw malformed(json);
      return SPECIAL_NUMBERS[value];
    }
    case 'bigint':
      if (typeof value !== 'string' || !INTEGER.test(value)) throw malformed(json);
      return BigInt(value);
    case 'string': {
      const string: unknown = typeof value === 'string' ? JSON.parse(value) : undefined;
      if (typeof string !== 'string') throw malformed(json);
      return string;
    }
    case 'object': {
      const object = {};
      for (const [key, field] of entriesOf(json, depth)) {
        if (typeof key !== 'string') throw malformed(json);
        define(object, key, field);
      }
      return object;
    }
    case 'date': {
      const date = new Date(typeof value === 'string' ? value : NaN);
      if (value !== null && Number.isNaN(date.getTime())) throw malformed(json);
      return date;
    }
    case 'map':
      return new Map(entriesOf(json, depth));
    case 'set':
      return new Set(arrayOf(json, value, depth));
    case 'regexp':
      return new RegExp(textOf(json, 'source', depth), textOf(json, 'flags', depth));
    case 'url':
      return new URL(textOf(json, 'value', depth));
    case 'binary':
      return decodeBinary(json);
    case 'error':
      return reviveError(json, depth);
    default:
      throw new MalformedEncodingError(`the tag ${JSON.stringify(json[TAG])} is not known to this release`);
  }
}

function reviveError(json: Tagged, depth: number): Error {
  const className = textOf(json, 'class', depth);
  const error = createError(className, textOf(json, 'message', depth));
  const name = textOf(json, 'name', depth);
  if (error instanceof RecordedError || error.name !== name) hide(error, 'name', name);
  hide(error, 'stack', 'stack' in json ? textOf(json, 'stack', depth) : `${name}: ${error.message}`);
  if ('cause' in json) hide(error, 'cause', revive(json.cause, depth + 1));
  if ('errors' in json) hide(error, 'errors', arrayOf(json, json.errors, depth));
  if ('code' in json) define(error, 'code', revive(json.code, depth + 1));
  const fields = revive(json.fields ?? {}, depth + 1);
  if (typeof fields !== 'object' || fields === null) throw malformed(json);
  for (const [key, field] of Object.entries(fields)) define(error, key, field);
  return error;
}

function createError(className: string, message: string): Error {
  if (className === 'AggregateError') return new AggregateError([], message);
  const LanguageError = ERROR_CLASSES.get(className);
  return LanguageError ? new LanguageError(message) : new RecordedError(className, message);
}

/** Like the properties an error is born with: present, but not listed. */
function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, configurable: true, writable: true });
}

function entriesOf(json: Tagged, depth: number): [unknown, unknown][] {
  const entries = arrayOf(json, json.value, depth);
  if (!entries.every((entry) => Array.isArray(entry) && entry.length === 2)) throw malformed(json);
  return entries as [unknown, unknown][];
}

function arrayOf(json: Tagged, value: unknown, depth: number): unknown[] {
  if (!Array.isArray(value)) throw malformed(json);
  return revive(value, depth + 1) as unknown[];
}

function textOf(json: Tagged, part: string, depth: number): string {
  const text = revive(json[part], depth + 1);
  if (typeof text !== 'string') throw malformed(json);
  return text;
}

function malformed(json: Tagged): MalformedEncodingError {
  return new MalformedEncodingError(`the content of the tag "${json[TAG]}" has an unexpected form`);
}
