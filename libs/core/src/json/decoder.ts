import { decodeBinary } from './binary.js';
import type { ClassRegistry } from './class-registry.js';
import { LANGUAGE_ERRORS } from './language-errors.js';
import { MalformedEncodingError } from './malformed-encoding-error.js';
import { RecordedError } from './recorded-error.js';
import { define, MAX_DEPTH, TAG, type Tagged } from './tags.js';

/** A map adds four levels of JSON where the value has one: the tagged object, its entries, an entry, the next value. */
const MAX_TEXT_DEPTH = 4 * MAX_DEPTH + 4;
const SPECIAL_NUMBERS: Readonly<Record<string, number>> = { NaN, Infinity, '-Infinity': -Infinity, '-0': -0 };
const INTEGER = /^-?\d+$/;

/** Those that are made of a message alone. */
const ERROR_CLASSES: ReadonlyMap<string, new (message: string) => Error> = new Map(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
);

/** Turns parsed JSON into what it stands for, in place. */
export class Decoder {
  constructor(private readonly classes: ClassRegistry | undefined) {}

  decode(json: unknown): unknown {
    return this.revive(json, 0);
  }

  private revive(json: unknown, depth: number): unknown {
    if (typeof json !== 'object' || json === null) return json;
    if (depth > MAX_TEXT_DEPTH) throw new MalformedEncodingError(`it is more than ${MAX_TEXT_DEPTH} levels deep`);
    if (Array.isArray(json)) {
      for (let i = 0; i < json.length; i++) json[i] = this.revive(json[i], depth + 1);
      return json;
    }
    if (Object.hasOwn(json, TAG)) return this.reviveTagged(json as Tagged, depth);
    for (const key of Object.keys(json)) {
      const before = (json as Record<string, unknown>)[key];
      const after = this.revive(before, depth + 1);
      if (after !== before) define(json, key, after);
    }
    return json;
  }

  private reviveTagged(json: Tagged, depth: number): unknown {
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
        for (const [key, field] of this.entriesOf(json, depth)) {
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
        return new Map(this.entriesOf(json, depth));
      case 'set':
        return new Set(this.arrayOf(json, value, depth));
      case 'regexp':
        return new RegExp(this.textOf(json, 'source', depth), this.textOf(json, 'flags', depth));
      case 'url':
        return new URL(this.textOf(json, 'value', depth));
      case 'binary':
        return decodeBinary(json);
      case 'class':
        return this.reviveInstance(json, depth);
      case 'error':
        return this.reviveError(json, depth);
      default:
        throw new MalformedEncodingError(`the tag ${JSON.stringify(json[TAG])} is not known to this release`);
    }
  }

  /** The plain data of an instance whose class nobody registered here. */
  private reviveInstance(json: Tagged, depth: number): unknown {
    const { name } = json;
    if (typeof name !== 'string' || !('value' in json)) throw malformed(json);
    const data = this.revive(json.value, depth + 1);
    const codec = this.classes?.codecNamed(name);
    if (!codec) return data;
    try {
      return codec.decode(data);
    } catch (error) {
      const reason = `the codec "${name}" does not take what is recorded (${String(error)})`;
      throw new MalformedEncodingError(reason, { cause: error });
    }
  }

  private reviveError(json: Tagged, depth: number): Error {
    const className = this.textOf(json, 'class', depth);
    const error = this.createError(className, this.textOf(json, 'message', depth));
    const name = this.textOf(json, 'name', depth);
    if (!LANGUAGE_ERRORS.has(className) || error.name !== name) hide(error, 'name', name);
    hide(error, 'stack', 'stack' in json ? this.textOf(json, 'stack', depth) : `${name}: ${error.message}`);
    if ('cause' in json) hide(error, 'cause', this.revive(json.cause, depth + 1));
    if ('errors' in json) hide(error, 'errors', this.arrayOf(json, json.errors, depth));
    if ('code' in json) own(error, 'code', this.revive(json.code, depth + 1));
    const fields = this.revive(json.fields ?? {}, depth + 1);
    if (typeof fields !== 'object' || fields === null) throw malformed(json);
    for (const [key, field] of Object.entries(fields)) own(error, key, field);
    return error;
  }

  /** An error of a registered class is made without calling its constructor, whose arguments nobody knows any more. */
  private createError(className: string, message: string): Error {
    if (className === 'AggregateError') return new AggregateError([], message);
    const LanguageError = ERROR_CLASSES.get(className);
    if (LanguageError) return new LanguageError(message);
    const registered = this.classes?.errorNamed(className);
    if (!registered) return new RecordedError(className, message);
    return Object.setPrototypeOf(new Error(message), registered.prototype as Error) as Error;
  }

  private entriesOf(json: Tagged, depth: number): [unknown, unknown][] {
    const entries = this.arrayOf(json, json.value, depth);
    if (!entries.every((entry) => Array.isArray(entry) && entry.length === 2)) throw malformed(json);
    return entries as [unknown, unknown][];
  }

  private arrayOf(json: Tagged, value: unknown, depth: number): unknown[] {
    if (!Array.isArray(value)) throw malformed(json);
    return this.revive(value, depth + 1) as unknown[];
  }

  private textOf(json: Tagged, part: string, depth: number): string {
    const text = this.revive(json[part], depth + 1);
    if (typeof text !== 'string') throw malformed(json);
    return text;
  }
}

/** Like the properties an error is born with: present, but not listed. */
function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, configurable: true, writable: true });
}

/** A data field. Not an assignment, which would meet the accessors of a registered class. */
function own(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, enumerable: true, configurable: true, writable: true });
}

function malformed(json: Tagged): MalformedEncodingError {
  return new MalformedEncodingError(`the content of the tag "${json[TAG]}" has an unexpected form`);
}
