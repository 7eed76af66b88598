import type { JsonSchema } from '../parameters/parameter-schema.js';
import type { Field, Rule } from './class-shape.js';

/**
 * The schema of a field, as far as the decorators of class-validator and the types that TypeScript emits tell.
 *
 * @param schemaOf what values of a type look like.
 */
export function schemaOfField(field: Field, schemaOf: (type: unknown) => JsonSchema): JsonSchema {
  const { name, description, rules, default: given } = field;
  const ofElements = rules.filter(({ each }) => each);
  const own = rules.filter(({ each }) => !each);
  const items = withRules(schemaOf(field.nested ?? field.elementType), ofElements);
  return {
    title: name,
    ...(description !== undefined && { description }),
    ...withRules(field.isList ? listOf(field, items) : schemaOf(field.nested ?? field.type), own),
    ...(given !== undefined && { default: given }),
  };
}

function listOf({ type }: Field, items: JsonSchema): JsonSchema {
  if (type === Map) return { type: 'object' };
  return { type: 'array', ...(Object.keys(items).length > 0 && { items }), ...(type === Set && { uniqueItems: true }) };
}

/** What values of a type look like of which no more is known than its name. */
export function schemaOfPlainType(type: unknown): JsonSchema {
  const schema = SCHEMAS_OF_TYPES.get(type);
  if (schema) return schema;
  return typeof type === 'function' && type !== Object ? { type: 'object' } : {};
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
