import { isStorable } from '../../persistence/storable-json.js';
import { InvalidVariableError } from './variable-errors.js';

const NAME = /^[a-z0-9_-]{1,255}$/;
const MAX_CHARACTERS = 5_000;
const MAX_TAG = 255;

/** @throws {InvalidVariableError} when it is not of that form. */
export function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  throw new InvalidVariableError(name, 'a name has 1 to 255 lower-case letters, digits and the signs _ and -');
}

/**
 * The JSON text of a value.
 *
 * @throws {InvalidVariableError} when JSON, or PostgreSQL, has no word for something in it, or when it is too long.
 */
export function valueText(name: string, value: unknown): string {
  const problem = problemOf(value, '$', 0);
  if (problem) throw new InvalidVariableError(name, problem);
  const text = JSON.stringify(value);
  if (text.length <= MAX_CHARACTERS) return text;
  throw new InvalidVariableError(name, `its value has ${text.length} characters as JSON, more than ${MAX_CHARACTERS}`);
}

/** The JSON text of tags; `null` when none are given. @throws {InvalidVariableError} */
export function tagsText(name: string, tags: readonly string[] | undefined): string | null {
  if (tags === undefined) return null;
  const wrong = tags.find((tag) => tag === '' || tag.length > MAX_TAG || !isStorable(tag));
  if (wrong !== undefined) {
    throw new InvalidVariableError(name, `${JSON.stringify(wrong)} is no tag; one has 1 to ${MAX_TAG} characters`);
  }
  return JSON.stringify([...new Set(tags)]);
}

const MAX_DEPTH = 100;

/** Why a value is not what it would be after `JSON.parse(JSON.stringify(value))`; `null` when it is. */
function problemOf(value: unknown, path: string, depth: number): string | null {
  if (depth > MAX_DEPTH) return `its value is more than ${MAX_DEPTH} levels deep`;
  switch (typeof value) {
    case 'boolean':
      return null;
    case 'number':
      return Number.isFinite(value) ? null : `${path} of its value is ${value}, for which JSON has no word`;
    case 'string':
      return isStorable(value) ? null : `${path} of its value has a NUL or half a character in it`;
    case 'object':
      return value === null ? null : problemIn(value, path, depth);
    default:
      return `${path} of its value is ${value === undefined ? 'undefined' : `a ${typeof value}`}, for which JSON has no word`;
  }
}

function problemIn(value: object, path: string, depth: number): string | null {
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = Array.isArray(value) || prototype === Object.prototype || prototype === null;
  if (!isPlain || 'toJSON' in value) return `${path} of its value is no plain data; give its fields`;
  for (const [key, part] of Object.entries(value)) {
    if (!isStorable(key)) return `a key in ${path} of its value has a NUL or half a character in it`;
    if (part === undefined && !Array.isArray(value)) continue; // as good as absent
    const problem = problemOf(part, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, depth + 1);
    if (problem) return problem;
  }
  return null;
}
