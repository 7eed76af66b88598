import { isStorable, type JsonValue } from '../../persistence/storable-json.js';
import { Secret, SECRET_MASK } from '../secrets/secret.js';
import { secretFieldsOf } from './block-definition.js';

type Json = JsonValue;
type JsonObject = Record<string, Json | undefined>;

/** A document in its parts. Secrets are named by JSON pointer (RFC 6901). */
interface BlockParts {
  /** Everything else; in lists `null` holds the place of a secret. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly secrets: ReadonlyMap<string, Secret<unknown>>;
  /** What cannot be kept, and why. The values themselves are not named. */
  readonly problems: readonly string[];
}

const MAX_DEPTH = 32;

/** Takes a document apart: its fields as JSON has them, and its secrets, wherever in it they are. */
export function partsOf(instance: object): BlockParts {
  const secrets = new Map<string, Secret<unknown>>();
  const problems: string[] = [];

  const take = (value: unknown, pointer: string, depth: number): Json | undefined => {
    if (value === undefined || value === null || typeof value === 'boolean') return value;
    if (typeof value === 'string' && isStorable(value)) return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (typeof value === 'object' && depth <= MAX_DEPTH) {
      if (value instanceof Secret) {
        secrets.set(pointer, value);
        return undefined;
      }
      if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
      if (Array.isArray(value)) return value.map((item, index) => take(item, `${pointer}/${index}`, depth + 1) ?? null);
      if (Object.prototype.toString.call(value) === '[object Object]') return takeFields(value, pointer, depth);
    }
    problems.push(`${pointer || 'it'} cannot be kept as JSON`);
    return undefined;
  };

  const takeFields = (object: object, pointer: string, depth: number): JsonObject => {
    for (const [field, { optional }] of secretFieldsOf(classOf(object))) {
      const value = (object as Record<string, unknown>)[field];
      const isFine = value instanceof Secret || (optional && (value === undefined || value === null));
      if (!isFine) problems.push(`${field} must be a Secret: new Secret(…)`);
    }
    const fields: JsonObject = {};
    for (const [field, value] of Object.entries(object)) {
      if (!isStorable(field)) problems.push(`a field of ${pointer || 'it'} cannot be called as it is`);
      const taken = take(value, `${pointer}/${escaped(field)}`, depth + 1);
      if (taken !== undefined) define(fields, field, taken);
    }
    return fields;
  };

  return { data: takeFields(instance, '', 0), secrets, problems };
}

/** Puts secrets where they belong; `secret` gives the one of a pointer. */
export function putSecrets(document: object, pointers: Iterable<string>, secret: (pointer: string) => unknown): void {
  for (const pointer of pointers) {
    const steps = pointer.split('/').slice(1).map(unescaped);
    const last = steps.pop() ?? '';
    let place: unknown = document;
    for (const step of steps) place = partOf(place, step);
    if (typeof place === 'object' && place !== null) define(place, last, secret(pointer));
  }
}

/** The document for people: what is secret is eight asterisks. */
export function masked(data: Record<string, unknown>, pointers: Iterable<string>): Record<string, unknown> {
  const copy = structuredClone(data);
  putSecrets(copy, pointers, () => SECRET_MASK);
  return copy;
}

/** `undefined` where there is no such part. */
function partOf(place: unknown, step: string): unknown {
  const isPart = typeof place === 'object' && place !== null && Object.hasOwn(place, step);
  return isPart ? (place as Record<string, unknown>)[step] : undefined;
}

/** Sets a property, whatever it is called: `__proto__` too is a field like any other. */
function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Not what a field called `constructor` says; a plain object may have no class at all. */
function classOf(object: object): object {
  const prototype = Object.getPrototypeOf(object) as { readonly constructor: object } | null;
  return prototype?.constructor ?? Object;
}

function escaped(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}

function unescaped(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}
