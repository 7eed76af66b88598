import type { ClassRegistry } from './class-registry.js';
import { Encoder } from './encoder.js';

export interface EncodeOptions {
  /** What the value is, for example `result of task "load"`; it becomes part of the error message. Default `value`. */
  readonly subject?: string;
  /** The classes whose instances `decode` is to bring back as such. Default: none. */
  readonly classes?: ClassRegistry;
}

/** Escapes that PostgreSQL stores in `json` but cannot read again; a literal backslash may match too, which is harmless. */
const UNSAFE_ESCAPE = /\\u(?:0000|d[89a-f])/;

/**
 * Writes a value as JSON text that `decode` reads back exactly.
 *
 * Plain JSON data becomes exactly what `JSON.stringify` makes of it, so that results stay readable in the database.
 * Everything else is an object with the key `$nestor`: `undefined` (also in objects, arrays and the holes of arrays),
 * `NaN`, infinities and `-0`, `BigInt`, `Date`, `Map`, `Set`, `RegExp`, `URL`, `Buffer`, `ArrayBuffer` and its views, and
 * errors. The text holds no NUL and no lone surrogate, escaped or not, so PostgreSQL takes it as `json` and as `jsonb`.
 *
 * What changes on the way:
 * - An instance of a class that is not registered becomes plain data: what its `toJSON` returns if it has one, its own
 *   enumerable fields otherwise. Getters of the class and private fields are not among them. Neither are keys that are
 *   symbols, the `lastIndex` of a regular expression, and fields added to arrays, dates, maps and the like.
 * - An object without a prototype gets the ordinary one. A boxed primitive (`new String('a')`) becomes the primitive.
 * - An object that is reached twice becomes two.
 * - An error keeps its `name`, `message`, `stack`, `code`, `cause`, `errors` and enumerable fields. Parts that cannot be
 *   kept never prevent the rest: see `omitted` and `cause` in the text. The class comes back as described at `decode`.
 *
 * @throws {UnserialisableValueError} when the value contains a function, a symbol, a promise, an object that hides its
 * data (such as `WeakMap` or `Headers`), a reference to something around it, more than 1,000 levels, or a getter, a
 * `toJSON` or a codec that throws; and when the text would be longer than a string can be.
 */
export function encode(value: unknown, options: EncodeOptions = {}): string {
  const { subject = 'value', classes } = options;
  const text = stringify(value, new Encoder({ subject, classes }));
  return UNSAFE_ESCAPE.test(text) ? stringify(value, new Encoder({ subject, classes, tagUnsafeStrings: true })) : text;
}

function stringify(value: unknown, encoder: Encoder): string {
  try {
    return JSON.stringify(encoder.encode(value));
  } catch (error) {
    throw encoder.unserialisable(error);
  }
}
