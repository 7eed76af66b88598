import type { JsonSchema, ParameterSchema } from '../../runtime/parameters/parameter-schema.js';
import { shapeOf, type ClassShape, type DataClass, type Field, type Rule } from './class-shape.js';

/**
 * The schema of what a method takes, from the types of its parameters.
 *
 * @param whole the class of the one object that it takes; `null` when its parameters go by their position.
 */
export function schemaOfTypes(types: readonly unknown[], whole: ClassShape | null): ParameterSchema {
  const definitions = new Definitions();
  const object: JsonSchema = whole
    ? definitions.objectOf(whole)
    : { properties: Object.fromEntries(types.map((type, index) => [index, argumentSchema(index, type, definitions)])) };
  const properties = Object.entries(object.properties ?? {}).map(([name, schema], position) => [
    name,
    { position, ...schema },
  ]);
  return {
    ...object,
    title: 'Parameters',
    type: 'object',
    properties: Object.fromEntries(properties) as ParameterSchema['properties'],
    ...definitions.all(),
  };
}

function argumentSchema(index: number, type: unknown, definitions: Definitions): JsonSchema {
  return { title: String(index), ...definitions.schemaOf(type) };
}

/** The classes that a schema refers to. */
class Definitions {
  private readonly names = new Map<DataClass, string>();
  private readonly schemas = new Map<string, JsonSchema>();

  all(): Pick<ParameterSchema, 'definitions'> {
    return this.schemas.size > 0 ? { definitions: Object.fromEntries(this.schemas) } : {};
  }

  /** Fields without a decorator are taken, and are nothing for a form: then other fields cannot be said to be refused. */
  objectOf({ fields, undecorated }: ClassShape): JsonSchema {
    const required = fields.filter(({ isRequired }) => isRequired).map(({ name }) => name);
    return {
      type: 'object',
      properties: Object.fromEntries(fields.map((field) => [field.name, this.fieldSchema(field)])),
      ...(required.length > 0 && { required }),
      ...(undecorated.size === 0 && { additionalProperties: false }),
    };
  }

  /** What values of a type look like; a class is referred to, from within `allOf`, beside which other keywords hold. */
  schemaOf(type: unknown): JsonSchema {
    const shape = shapeOf(type);
    if (shape) return { allOf: [{ $ref: this.refTo(shape) }] };
    const plain = SCHEMAS_OF_TYPES.get(type);
    if (plain) return plain;
    return typeof type === 'function' && type !== Object ? { type: 'object' } : {};
  }

  private refTo(shape: ClassShape): string {
    let name = this.names.get(shape.type);
    if (name === undefined) {
      name = this.freeName(shape.type.name);
      this.names.set(shape.type, name);
      this.schemas.set(name, {}); // it may refer to itself
      this.schemas.set(name, { title: shape.type.name, ...this.objectOf(shape) });
    }
    return `#/definitions/${name}`;
  }

  /** Two classes may have one name. */
  private freeName(name: string): string {
    let free = name;
    for (let count = 2; this.schemas.has(free); count += 1) free = `${name}${count}`;
    return free;
  }

  private fieldSchema(field: Field): JsonSchema {
    const { name, description, rules, default: given } = field;
    const ofElements = rules.filter(({ each }) => each);
    const own = rules.filter(({ each }) => !each);
    const items = withRules(this.schemaOf(field.nested ?? field.elementType), ofElements);
    return {
      title: name,
      ...(description !== undefined && { description }),
      ...withRules(field.isList ? listOf(field, items) : this.schemaOf(field.nested ?? field.type), own),
      ...(given !== undefined && { default: given }),
    };
  }
}

function listOf({ type }: Field, items: JsonSchema): JsonSchema {
  if (type === Map) return { type: 'object' };
  return { type: 'array', ...(Object.keys(items).length > 0 && { items }), ...(type === Set && { uniqueItems: true }) };
}

const SCHEMAS_OF_TYPES: ReadonlyMap<unknown, JsonSchema> = new Map<unknown, JsonSchema>([
  [String, { type: 'string' }],
  [Number, { type: 'number' }],
  [Boolean, { type: 'boolean' }],
  [BigInt, { type: 'integer' }],
  [Date, { type: 'string', format: 'date-time' }],
  [Array, { type: 'array' }],
]);

function withRules(schema: JsonSchema, rules: readonly Rule[]): JsonSchema {
  let ruled = schema;
  for (const { name, constraints } of rules) {
    const [first, second] = constraints;
    ruled = { ...ruled, ...KEYWORDS[name]?.(first as never, second as never) };
  }
  const isText = ruled.type === 'string' && ruled.enum === undefined;
  const mayNotBeEmpty = rules.some(({ name }) => name === 'isNotEmpty');
  return isText && mayNotBeEmpty && ruled.minLength === undefined ? { ...ruled, minLength: 1 } : ruled;
}

/** What the rules of class-validator are in JSON Schema, those that have a counterpart; by the constraints they are given. */
const KEYWORDS: Readonly<Record<string, (first: never, second: never) => JsonSchema>> = {
  isInt: () => ({ type: 'integer' }),
  isObject: () => ({ type: 'object' }),
  isNotEmptyObject: () => ({ type: 'object' }),
  isEnum: (_: unknown, values: readonly unknown[]) => ({ enum: values }),
  isIn: (values: readonly unknown[]) => ({ enum: values }),
  isNotIn: (values: readonly unknown[]) => ({ not: { enum: values } }),
  equals: (value: unknown) => ({ const: value }),
  notEquals: (value: unknown) => ({ not: { const: value } }),

  min: (minimum: number) => ({ minimum }),
  max: (maximum: number) => ({ maximum }),
  isPositive: () => ({ exclusiveMinimum: 0 }),
  isNegative: () => ({ exclusiveMaximum: 0 }),
  isDivisibleBy: (multipleOf: number) => ({ multipleOf }),

  minLength: (minLength: number) => ({ minLength }),
  maxLength: (maxLength: number) => ({ maxLength }),
  isLength: (minLength: number, maxLength: number | undefined) => ({
    minLength,
    ...(maxLength !== undefined && { maxLength }),
  }),
  matches: (pattern: RegExp | string, modifiers: string | undefined) => patternOf(pattern, modifiers),

  isEmail: () => ({ format: 'email' }),
  isUuid: () => ({ format: 'uuid' }),
  isUrl: () => ({ format: 'uri' }),
  isFqdn: () => ({ format: 'hostname' }),
  isIp: (version: string | number | undefined) => (version === undefined ? {} : { format: `ipv${version}` }),
  isDateString: () => ({ format: 'date-time' }),
  isIso8601: () => ({ format: 'date-time' }),
  isRFC3339: () => ({ format: 'date-time' }),
  isJson: () => ({ contentMediaType: 'application/json' }),
  isBase64: () => ({ contentEncoding: 'base64' }),

  arrayNotEmpty: () => ({ minItems: 1 }),
  arrayMinSize: (minItems: number) => ({ minItems }),
  arrayMaxSize: (maxItems: number) => ({ maxItems }),
  arrayUnique: () => ({ uniqueItems: true }),
};

/** JSON Schema has no flags: a pattern that means something else without them would refuse what is right. */
function patternOf(pattern: RegExp | string, modifiers = ''): JsonSchema {
  const flags = typeof pattern === 'string' ? modifiers : pattern.flags;
  if (/[ims]/.test(flags)) return {};
  return { pattern: typeof pattern === 'string' ? pattern : pattern.source };
}
