import { isJsonObject, type JsonObject } from './json-object.js';

/** `{{ name }}`. What begins with `$`, or has dots, is no variable of the job: whoever knows it fills it in later. */
const PLACEHOLDER = /\{\{\s*([A-Za-z_][\w-]*)\s*\}\}/g;
const WHOLE = /^\{\{\s*([A-Za-z_][\w-]*)\s*\}\}$/;

/** A configuration nested deeper than this is not meant. */
const MAX_DEPTH = 64;

/** What is left out. */
const ABSENT = Symbol('absent');

/** The names of the variables that a value refers to, each once, in the order in which they come. */
export function placeholdersOf(value: unknown): string[] {
  const names = new Set<string>();
  visit(value, names, 0);
  return [...names];
}

function visit(value: unknown, names: Set<string>, depth: number): void {
  if (depth > MAX_DEPTH) return;
  if (typeof value === 'string') for (const [, name] of value.matchAll(PLACEHOLDER)) names.add(name ?? '');
  else if (Array.isArray(value)) for (const element of value) visit(element, names, depth + 1);
  else if (isJsonObject(value)) {
    for (const [key, field] of Object.entries(value)) {
      visit(key, names, depth + 1);
      visit(field, names, depth + 1);
    }
  }
}

/**
 * The value with variables in the place of its placeholders; a field or an element that is one
 * without a variable is left out.
 */
export function filled(value: unknown, variables: JsonObject): unknown {
  const found = replaced(value, variables, 0);
  return found === ABSENT ? undefined : found;
}

function replaced(value: unknown, variables: JsonObject, depth: number): unknown {
  if (depth > MAX_DEPTH) return value;
  if (typeof value === 'string') return replacedText(value, variables);
  if (Array.isArray(value)) {
    return value.map((element) => replaced(element, variables, depth + 1)).filter((element) => element !== ABSENT);
  }
  if (!isJsonObject(value)) return value;
  const fields: [string, unknown][] = [];
  for (const [key, field] of Object.entries(value)) {
    const name = replacedText(key, variables);
    const content = replaced(field, variables, depth + 1);
    if (name !== ABSENT && content !== ABSENT) fields.push([shown(name), content]);
  }
  return Object.fromEntries(fields);
}

function replacedText(text: string, variables: JsonObject): unknown {
  const [, whole] = WHOLE.exec(text) ?? [];
  if (whole !== undefined) return Object.hasOwn(variables, whole) ? variables[whole] : ABSENT;
  return text.replace(PLACEHOLDER, (_, name: string) => (Object.hasOwn(variables, name) ? shown(variables[name]) : ''));
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
