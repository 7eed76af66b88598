/** What is wrong in one place of a value. */
export interface SchemaProblem {
  /** `items[2].sku`; empty for the whole. */
  readonly path: string;
  /** What is asked of it: `must be a number`. The value is not repeated. */
  readonly problem: string;
}

type Schema = Readonly<Record<string, unknown>>;

/** How deep a value may go; a schema that refers to itself without end would be followed further. */
const MAX_DEPTH = 64;

/**
 * Checks JSON against a JSON schema, as far as forms are described with: types, enumerations, limits, formats, patterns, objects,
 * lists, references within the schema, and combinations of these. Keywords beyond that ask for nothing.
 */
export function schemaProblems(schema: unknown, value: unknown): SchemaProblem[] {
  const check = new Check(asSchema(schema) ?? {});
  check.value(schema, value, '', 0);
  return check.problems;
}

/** The value with what its schema says of fields that are left out; only of the object itself, not of what is in it. */
export function withDefaults(schema: unknown, value: unknown): unknown {
  if (!isObject(value)) return value;
  const given = Object.entries(asSchema(asSchema(schema)?.properties) ?? {}).flatMap(([name, property]) => {
    const own = asSchema(property);
    return own && 'default' in own && value[name] === undefined ? [[name, own.default]] : [];
  });
  return given.length === 0 ? value : { ...value, ...(Object.fromEntries(given) as object) };
}

class Check {
  readonly problems: SchemaProblem[] = [];

  constructor(private readonly root: Schema) {}

  value(of: unknown, value: unknown, path: string, depth: number): void {
    if (of === false) return this.note(path, 'must not be given');
    const schema = asSchema(of);
    if (!schema) return;
    if (depth > MAX_DEPTH) return this.note(path, 'goes too deep');
    if (typeof schema.$ref === 'string') this.value(this.referred(schema.$ref), value, path, depth + 1);
    for (const part of listOf(schema.allOf)) this.value(part, value, path, depth + 1);
    this.alternatives(schema, value, path, depth);
    if (!this.hasType(schema.type, value, path)) return;
    if (schema.enum !== undefined && !listOf(schema.enum).some((one) => isEqual(one, value))) {
      this.note(path, `must be one of ${listOf(schema.enum).map(shown).join(', ')}`);
    }
    if ('const' in schema && !isEqual(schema.const, value)) this.note(path, `must be ${shown(schema.const)}`);
    if (typeof value === 'string') this.text(schema, value, path);
    else if (typeof value === 'number') this.number(schema, value, path);
    else if (Array.isArray(value)) this.list(schema, value, path, depth);
    else if (isObject(value)) this.object(schema, value, path, depth);
  }

  private alternatives({ anyOf, oneOf, not }: Schema, value: unknown, path: string, depth: number): void {
    const fits = (one: unknown): boolean => this.problemsOf(one, value, path, depth).length === 0;
    if (anyOf !== undefined && !listOf(anyOf).some(fits)) this.noteClosest(listOf(anyOf), value, path, depth);
    if (oneOf !== undefined) {
      const count = listOf(oneOf).filter(fits).length;
      if (count === 0) this.noteClosest(listOf(oneOf), value, path, depth);
      if (count > 1) this.note(path, 'fits more than one of what it may be');
    }
    if (not !== undefined && fits(not)) this.note(path, 'is what it must not be');
  }

  /** Of several things that a value may be, that of which the least is wrong is most likely meant. */
  private noteClosest(alternatives: readonly unknown[], value: unknown, path: string, depth: number): void {
    const all = alternatives.map((one) => this.problemsOf(one, value, path, depth));
    const [closest] = all.sort((one, other) => one.length - other.length);
    this.problems.push(...(closest ?? [{ path, problem: 'is nothing of what it may be' }]));
  }

  private problemsOf(of: unknown, value: unknown, path: string, depth: number): SchemaProblem[] {
    const check = new Check(this.root);
    check.value(of, value, path, depth + 1);
    return check.problems;
  }

  private hasType(type: unknown, value: unknown, path: string): boolean {
    const types = typeof type === 'string' ? [type] : listOf(type);
    if (types.length === 0 || types.some((one) => TYPES[String(one)]?.is(value) ?? true)) return true;
    this.note(path, `must be ${types.map((one) => TYPES[String(one)]?.called ?? shown(one)).join(' or ')}`);
    return false;
  }

  private text({ minLength, maxLength, pattern, format }: Schema, value: string, path: string): void {
    const length = [...value].length;
    if (typeof minLength === 'number' && length < minLength)
      this.note(path, `must have ${minLength} characters or more`);
    if (typeof maxLength === 'number' && length > maxLength)
      this.note(path, `must have at most ${maxLength} characters`);
    if (typeof pattern === 'string' && matches(pattern, value) === false) this.note(path, `must match ${pattern}`);
    const form = typeof format === 'string' ? FORMATS[format] : undefined;
    if (form && !form(value)) this.note(path, `must have the form "${String(format)}"`);
  }

  private number(schema: Schema, value: number, path: string): void {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
    if (typeof minimum === 'number' && value < minimum) this.note(path, `must be ${minimum} or more`);
    if (typeof maximum === 'number' && value > maximum) this.note(path, `must be at most ${maximum}`);
    if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) {
      this.note(path, `must be more than ${exclusiveMinimum}`);
    }
    if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) {
      this.note(path, `must be less than ${exclusiveMaximum}`);
    }
    if (typeof multipleOf === 'number' && !isMultiple(value, multipleOf)) {
      this.note(path, `must be a multiple of ${multipleOf}`);
    }
  }

  private list(schema: Schema, value: readonly unknown[], path: string, depth: number): void {
    const { items, minItems, maxItems, uniqueItems } = schema;
    if (typeof minItems === 'number' && value.length < minItems)
      this.note(path, `must have ${minItems} elements or more`);
    if (typeof maxItems === 'number' && value.length > maxItems)
      this.note(path, `must have at most ${maxItems} elements`);
    if (uniqueItems === true && new Set(value.map(textOf)).size < value.length) {
      this.note(path, 'must not have an element twice');
    }
    for (const [index, element] of value.entries()) this.value(items, element, `${path}[${index}]`, depth + 1);
  }

  private object(schema: Schema, value: Readonly<Record<string, unknown>>, path: string, depth: number): void {
    const properties = asSchema(schema.properties) ?? {};
    for (const name of listOf(schema.required)) {
      if (!Object.hasOwn(value, String(name))) this.note(at(path, String(name)), 'must be given');
    }
    for (const [name, field] of Object.entries(value)) {
      if (Object.hasOwn(properties, name)) this.value(properties[name], field, at(path, name), depth + 1);
      else if (schema.additionalProperties === false) this.note(at(path, name), 'is not known');
      else this.value(schema.additionalProperties, field, at(path, name), depth + 1);
    }
  }

  /** `#/definitions/Order`, `#/$defs/Order`; what is elsewhere asks for nothing. */
  private referred(ref: string): unknown {
    if (!ref.startsWith('#')) return undefined;
    const names = ref
      .slice(1)
      .split('/')
      .filter((name) => name !== '');
    let found: unknown = this.root;
    for (const name of names)
      found = asSchema(found)?.[decodeURIComponent(name).replaceAll('~1', '/').replaceAll('~0', '~')];
    return found;
  }

  private note(path: string, problem: string): void {
    this.problems.push({ path, problem });
  }
}

const TYPES: Readonly<Record<string, { readonly called: string; readonly is: (value: unknown) => boolean }>> = {
  string: { called: 'a text', is: (value) => typeof value === 'string' },
  number: { called: 'a number', is: (value) => typeof value === 'number' },
  integer: { called: 'a whole number', is: (value) => Number.isInteger(value) },
  boolean: { called: 'true or false', is: (value) => typeof value === 'boolean' },
  array: { called: 'a list', is: (value) => Array.isArray(value) },
  object: { called: 'an object', is: isObject },
  null: { called: 'null', is: (value) => value === null },
};

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
/** A date counts as well: that is what the decorators of dates take. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/i;

/** The formats that are told by their form alone; others are taken for what they say. */
const FORMATS: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)),
  date: (value) => DATE.test(value) && !Number.isNaN(Date.parse(value)),
  uuid: (value) => UUID.test(value),
  email: (value) => /^[^\s@]+@[^\s@]+$/.test(value),
};

function matches(pattern: string, value: string): boolean | null {
  try {
    return new RegExp(pattern).test(value);
  } catch {
    return null; // written for another dialect
  }
}

/** 0.3 is three times 0.1, whatever is left of it in binary. */
function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  return Math.abs(times - Math.round(times)) < 1e-9;
}

function isEqual(one: unknown, other: unknown): boolean {
  return one === other || textOf(one) === textOf(other);
}

/** Equal for equal JSON, in whatever order its fields come. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? 'undefined';
}

function at(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function asSchema(value: unknown): Schema | null {
  return isObject(value) ? value : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
