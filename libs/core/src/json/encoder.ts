import { encodeBinary } from './binary.js';
import type { ClassCodec, ClassRegistry } from './class-registry.js';
import { LANGUAGE_ERRORS } from './language-errors.js';
import { RecordedError } from './recorded-error.js';
import { define, MAX_DEPTH, TAG, type Tag, tagged, type Tagged } from './tags.js';
import { UnserialisableValueError } from './unserialisable-value-error.js';

/** A step into a value: an index, a property, or (for maps and sets) the text of the step itself. */
type Step = number | string | { readonly text: string };

interface EncoderOptions {
  readonly subject: string;
  /** The classes whose instances stay instances. */
  readonly classes?: ClassRegistry | undefined;
  /**
   * Tags strings with NUL or lone surrogates. JSON can escape them and PostgreSQL stores such JSON, but refuses to read
   * it again with `->>` or as `jsonb`. See https://www.postgresql.org/docs/current/datatype-json.html
   */
  readonly tagUnsafeStrings?: boolean;
  /** One text for values that are equal: see `canonicalText`. */
  readonly canonical?: boolean;
}

const UNSAFE_STRING = /[\0\ud800-\udfff]/u; // with the flag `u`, surrogates match only outside a pair
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const MAX_HOLEY_LENGTH = 1_000_000;
const MAX_PATH_STEPS = 20;
const UNDEFINED: Tagged = { [TAG]: 'undefined' };

/** Always text in an encoded error, whatever they were in the original. */
const ERROR_TEXTS: ReadonlySet<string> = new Set(['name', 'message', 'stack']);
/** Stand beside the texts when the original has them in the usual form, among the data fields otherwise. */
const ERROR_PARTS: ReadonlySet<string> = new Set(['cause', 'errors', 'code']);

/**
 * Turns one value into plain JSON data with tags, ready for `JSON.stringify`.
 *
 * It copies on write: data that is plain already comes back as it is, not copied, so the common case costs one walk and
 * the native `JSON.stringify`. An encoder serves one value and is thrown away.
 */
export class Encoder {
  /** The objects around the current value, outermost first; `steps[i]` leads from `ancestors[i]` to the next. */
  private readonly ancestors: object[] = [];
  private readonly steps: Step[] = [];

  constructor(private readonly options: EncoderOptions) {}

  /** @throws {UnserialisableValueError} and whatever a getter or `toJSON` of the value throws; see `unserialisable`. */
  encode(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        return this.options.tagUnsafeStrings && UNSAFE_STRING.test(value)
          ? tagged('string', JSON.stringify(value)) // escaped twice, so that no unsafe escape is left in the text
          : value;
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : tagged('number', Object.is(value, -0) ? '-0' : String(value));
      case 'boolean':
        return value;
      case 'object':
        return value === null ? null : this.encodeObject(value);
      case 'undefined':
        return UNDEFINED;
      case 'bigint':
        return tagged('bigint', value.toString());
      case 'function':
        throw this.refuse(
          value.name ? `a function (${value.name})` : 'a function',
          'keep only data in it, and call the function where the value is used',
        );
      case 'symbol':
        throw this.refuse('a symbol', 'use a string');
    }
  }

  /** Any error met while encoding, as the one that names the place. */
  unserialisable(error: unknown): UnserialisableValueError {
    if (error instanceof UnserialisableValueError) return error;
    return this.refuse('not readable', 'see the cause', { cause: error });
  }

  private encodeObject(value: object): unknown {
    if (this.ancestors.length >= MAX_DEPTH) {
      throw this.refuse(`more than ${MAX_DEPTH} levels deep`, 'flatten it, or refer to its parts by id');
    }
    const above = this.ancestors.indexOf(value);
    if (above >= 0) {
      const target = renderPath(this.steps.slice(0, above));
      throw this.refuse(`a reference back to ${target}`, 'leave it out, or refer to it by id');
    }
    const depth = this.ancestors.push(value);
    const encoded = this.encodeContent(value);
    this.ancestors.length = depth - 1;
    return encoded;
  }

  private encodeContent(value: object): unknown {
    const codec = this.options.classes?.codecOf(value);
    if (codec) return this.encodeInstance(value, codec);
    return Array.isArray(value) ? this.encodeArray(value) : this.encodeNonArray(value);
  }

  private encodeInstance(value: object, codec: ClassCodec): Tagged {
    this.steps[this.ancestors.length - 1] = { text: `<${codec.name}>` };
    return { [TAG]: 'class', name: codec.name, value: this.encode(this.dataOf(value, codec)) };
  }

  private dataOf(value: object, codec: ClassCodec): unknown {
    try {
      return codec.encode(value);
    } catch (error) {
      throw this.refuse('an instance that its codec cannot encode', 'see the cause', { cause: error });
    }
  }

  private encodeNonArray(value: object): unknown {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return this.encodePlain(value);
    // Not `instanceof`: an object of another realm (a worker, a test's sandbox) is no instance of our classes.
    const kind = Object.prototype.toString.call(value).slice(8, -1);
    if (ArrayBuffer.isView(value)) return encodeBinary(value, kind);
    switch (kind) {
      case 'Object':
        return value instanceof Error ? this.encodeError(value) : this.encodePlain(value);
      case 'Error':
      case 'DOMException':
        return this.encodeError(value);
      case 'Date': {
        const ms = Date.prototype.getTime.call(value);
        return tagged('date', Number.isNaN(ms) ? null : new Date(ms).toISOString());
      }
      case 'Map':
        return this.encodeMap(value as Map<unknown, unknown>);
      case 'Set':
        return this.encodeSet(value as Set<unknown>);
      case 'RegExp':
        return {
          [TAG]: 'regexp',
          source: this.encode((value as RegExp).source),
          flags: (value as RegExp).flags,
        } satisfies Tagged;
      case 'URL':
        return tagged('url', String((value as URL).href));
      case 'ArrayBuffer':
        return encodeBinary(value as ArrayBuffer, kind);
      case 'Number':
      case 'String':
      case 'Boolean':
      case 'BigInt':
        return this.encode(value.valueOf());
      case 'Promise':
        throw this.refuse('a promise', 'await it (is an "await" missing?)');
      default:
        return this.encodeOther(value, kind);
    }
  }

  /** Something that names its own kind: a `Temporal.Instant`, a `Headers`, a class with `Symbol.toStringTag`. */
  private encodeOther(value: object, kind: string): unknown {
    if (value instanceof Error) return this.encodeError(value);
    const hidesItsData = !hasToJson(value) && Object.keys(value).length === 0;
    if (hidesItsData) throw this.refuse(`a ${kind}, whose data cannot be read`, 'return the data that is needed of it');
    return this.encodePlain(value);
  }

  /** Fields as they are, or what `toJSON` makes of them: the class knows best, and may be hiding a password. */
  private encodePlain(value: object): unknown {
    if (!hasToJson(value)) return this.encodeFields(value, false);
    this.steps[this.ancestors.length - 1] = { text: '.toJSON()' };
    const json = value.toJSON();
    return json === value ? this.encodeFields(value, true) : this.encode(json);
  }

  private encodeFields(value: object, mustCopy: boolean): unknown {
    const { canonical = false, tagUnsafeStrings = false } = this.options;
    const source = value as Record<string, unknown>;
    const keys = Object.keys(source);
    if (canonical) keys.sort();
    const level = this.ancestors.length - 1;
    let copy: Record<string, unknown> | undefined = mustCopy || canonical ? {} : undefined;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      if (key === TAG || (tagUnsafeStrings && UNSAFE_STRING.test(key))) return this.encodeEntries(source, keys);
      this.steps[level] = key;
      const before = source[key];
      if (canonical && before === undefined) continue;
      const after = this.encode(before);
      if (copy === undefined) {
        if (after === before) continue;
        copy = {};
        for (let j = 0; j < i; j++) define(copy, keys[j]!, source[keys[j]!]);
      }
      define(copy, key, after);
    }
    return copy ?? source;
  }

  /** For objects whose keys cannot stand as they are. */
  private encodeEntries(source: Record<string, unknown>, keys: readonly string[]): Tagged {
    const level = this.ancestors.length - 1;
    const entries: [unknown, unknown][] = [];
    for (const key of keys) {
      this.steps[level] = key;
      const value = source[key];
      if (!(this.options.canonical && value === undefined)) entries.push([this.encode(key), this.encode(value)]);
    }
    return tagged('object', entries);
  }

  private encodeArray(source: readonly unknown[]): unknown {
    const level = this.ancestors.length - 1;
    let copy: unknown[] | undefined;
    for (let i = 0; i < source.length; i++) {
      this.steps[level] = i;
      const before = source[i];
      if (before === undefined && source.length > MAX_HOLEY_LENGTH && !(i in source)) {
        throw this.refuse(`a hole in an array of length ${source.length}`, 'use a Map or an object for sparse data');
      }
      const after = this.encode(before);
      if (copy) copy.push(after);
      else if (after !== before) copy = [...source.slice(0, i), after];
    }
    // An array that carries its own toJSON must not be asked by JSON.stringify.
    return copy ?? (hasToJson(source) ? [...source] : source);
  }

  private encodeMap(map: Map<unknown, unknown>): Tagged {
    const level = this.ancestors.length - 1;
    const entries: [unknown, unknown][] = [];
    for (const [key, value] of Map.prototype.entries.call(map) as IterableIterator<[unknown, unknown]>) {
      const named = typeof key === 'string' || typeof key === 'number';
      this.steps[level] = { text: `.keys()[${entries.length}]` };
      const encodedKey = this.encode(key);
      this.steps[level] = { text: named ? `.get(${JSON.stringify(key)})` : `.values()[${entries.length}]` };
      entries.push([encodedKey, this.encode(value)]);
    }
    return tagged('map', this.options.canonical ? sortedByText(entries, (entry) => entry) : entries);
  }

  private encodeSet(set: Set<unknown>): Tagged {
    const level = this.ancestors.length - 1;
    const items: unknown[] = [];
    for (const item of Set.prototype.values.call(set) as IterableIterator<unknown>) {
      this.steps[level] = { text: `.values()[${items.length}]` };
      items.push(this.encode(item));
    }
    return tagged('set', this.options.canonical ? sortedByText(items, (item) => item) : items);
  }

  /**
   * An error is always recorded: it is the reason of a failure, and a request object hanging on it must not hide that
   * reason. Data fields that cannot be kept are left out and named in `omitted`; in `cause` and `errors` the
   * `UnserialisableValueError` takes the place of what could not be kept.
   */
  private encodeError(error: object): Tagged {
    const { canonical = false } = this.options;
    const className = classNameOf(error);
    const encoded: Record<string, unknown> = { [TAG]: 'error' satisfies Tag };
    encoded.class = this.encode(className);
    encoded.name = this.encode(nameOf(error, className));
    const message = read(error, 'message');
    encoded.message = typeof message === 'string' ? this.encode(message) : '';
    const code = read(error, 'code');
    if (typeof code === 'string' || typeof code === 'number') encoded.code = this.encode(code);
    const stack = canonical ? undefined : read(error, 'stack'); // lines and paths are not what an input is about
    if (typeof stack === 'string') encoded.stack = this.encode(stack);
    if ('cause' in error) encoded.cause = this.encodeErrorPart('cause', () => read(error, 'cause'));
    const errors = read(error, 'errors');
    if (Array.isArray(errors)) {
      encoded.errors = Array.from(errors, (part: unknown, i) => this.encodeErrorPart(`errors[${i}]`, () => part));
    }
    return { ...encoded, ...this.encodeErrorFields(error, encoded) } as unknown as Tagged;
  }

  private encodeErrorPart(name: string, part: () => unknown): unknown {
    const encoded = this.attempt({ text: `.${name}` }, part);
    return encoded instanceof UnserialisableValueError ? this.encodeError(encoded) : encoded;
  }

  private encodeErrorFields(error: object, parts: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const keys = Object.keys(error).filter((key) => !ERROR_TEXTS.has(key) && !(ERROR_PARTS.has(key) && key in parts));
    if (this.options.canonical) keys.sort();
    const fields: [unknown, unknown][] = [];
    const omitted: unknown[] = [];
    for (const key of keys) {
      const value = this.attempt(key, () => (error as Record<string, unknown>)[key]);
      if (value instanceof UnserialisableValueError) omitted.push(this.encode(key));
      else if (!(this.options.canonical && value === UNDEFINED)) fields.push([this.encode(key), value]);
    }
    return {
      ...(fields.length > 0 && { fields: objectOfEntries(fields) }),
      ...(omitted.length > 0 && { omitted }),
    };
  }

  /** Reads and encodes one part of the current object; what cannot be encoded is returned, not thrown. */
  private attempt(step: Step, part: () => unknown): unknown {
    const depth = this.ancestors.length;
    this.steps[depth - 1] = step;
    try {
      return this.encode(part());
    } catch (error) {
      const refused = this.unserialisable(error);
      this.ancestors.length = depth;
      return refused;
    }
  }

  private refuse(found: string, remedy: string, options?: ErrorOptions): UnserialisableValueError {
    const path = renderPath(this.steps.slice(0, this.ancestors.length));
    return new UnserialisableValueError({ subject: this.options.subject, path, found, remedy }, options);
  }
}

function hasToJson(value: object): value is { toJSON(): unknown } {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function';
}

/** A property of an error that may have been given a getter that throws. */
function read(error: object, key: string): unknown {
  try {
    return (error as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function classNameOf(error: object): string {
  if (error instanceof RecordedError) return error.className;
  const constructor = read(error, 'constructor');
  return typeof constructor === 'function' && constructor.name ? constructor.name : 'Error';
}

/** A class that never set `name` inherits `Error`, which says nothing: the name of the class takes its place. */
function nameOf(error: object, className: string): string {
  const name = read(error, 'name');
  const inherited = typeof name !== 'string' || (LANGUAGE_ERRORS.has(name) && !Object.hasOwn(error, 'name'));
  return inherited ? className : name;
}

function objectOfEntries(entries: readonly [unknown, unknown][]): unknown {
  if (entries.some(([key]) => typeof key !== 'string' || key === TAG)) return tagged('object', entries);
  const object = {};
  for (const [key, value] of entries) define(object, key as string, value);
  return object;
}

function sortedByText<T>(items: readonly T[], keyOf: (item: T) => unknown): T[] {
  return items
    .map((item) => ({ item, text: JSON.stringify(keyOf(item)) }))
    .sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
    .map(({ item }) => item);
}

/** `$.items[3].callback`, `$["odd key"]`, `$.byName.get("x")`; the middle of a very long path is left out. */
function renderPath(steps: readonly Step[]): string {
  if (steps.length > MAX_PATH_STEPS) {
    const [head, tail] = [steps.slice(0, MAX_PATH_STEPS / 2), steps.slice(-MAX_PATH_STEPS / 2)];
    return `$${head.map(renderStep).join('')}…${tail.map(renderStep).join('')}`;
  }
  return `$${steps.map(renderStep).join('')}`;
}

function renderStep(step: Step): string {
  if (typeof step === 'object') return step.text;
  if (typeof step === 'number') return `[${step}]`;
  return IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
}
