import { createHash } from 'node:crypto';
import { canonicalText } from '@nestor/core';
import type { BlockRegistration } from '../../records/blocks/blocks.repository.js';
import { Secret } from '../secrets/secret.js';
import { blockOptionsOf, secretFieldsOf, type BlockClass } from './block-definition.js';
import { partsOf } from './block-content.js';
import { rulesOf, type FieldRule } from './class-tools.js';

type Schema = Record<string, unknown>;

/** What is registered of a class. @throws {NotABlockError} */
export function registrationOf(type: BlockClass): BlockRegistration {
  const options = blockOptionsOf(type);
  const { slug, capabilities = [], version = 'non-versioned' } = options;
  const name = options.name ?? type.name;
  const { properties, required } = fieldsOf(type);
  const fields = {
    ...{ title: name, type: 'object', properties, required, block_type_slug: slug },
    ...{ secret_fields: secretNamesOf(type), block_schema_references: {} },
    ...(options.description !== undefined && { description: options.description }),
  };
  const checksum = `sha256:${createHash('sha256')
    .update(canonicalText(fields) ?? '')
    .digest('hex')}`;
  return {
    type: {
      ...{ slug, name, description: options.description ?? null, logoUrl: options.logoUrl ?? null },
      ...{ documentationUrl: options.documentationUrl ?? null, codeExample: options.codeExample ?? null },
    },
    schema: { checksum, version, fields, capabilities: [...new Set(capabilities)].sort() },
  };
}

/**
 * The fields of a class as a JSON schema has them, as far as the decorators of class-validator and the types that TypeScript
 * emits tell. Defaults are those of a new instance.
 */
function fieldsOf(type: BlockClass): { properties: Record<string, Schema>; required: string[] } {
  const rules = rulesOf(type);
  const secrets = secretFieldsOf(type);
  const { data: defaults } = partsOf(new type());
  const names = [...new Set([...rules.map(({ field }) => field), ...secrets.keys(), ...Object.keys(defaults)])].sort();
  const properties = names.map((field): [string, Schema] => {
    if (secrets.has(field)) return [field, { title: field, type: 'string', writeOnly: true, format: 'password' }];
    const schema = schemaOf(
      type,
      field,
      rules.filter((rule) => rule.field === field),
    );
    return [field, { title: field, ...schema, ...(field in defaults && { default: defaults[field] }) }];
  });
  const isOptional = (field: string): boolean =>
    field in defaults ||
    secrets.get(field)?.optional ||
    rules.some((rule) => rule.field === field && rule.name === 'isOptional');
  return { properties: Object.fromEntries(properties), required: names.filter((field) => !isOptional(field)) };
}

/** Secret fields, also of classes that fields are of, with dots between. */
function secretNamesOf(type: BlockClass, path = '', around: readonly object[] = []): string[] {
  if (around.includes(type)) return [];
  const own = [...secretFieldsOf(type).keys()].map((field) => `${path}${field}`);
  const nested = [...new Set(rulesOf(type).map(({ field }) => field))].flatMap((field) => {
    const kind = emittedTypeOf(type, field);
    return isOwnClass(kind) ? secretNamesOf(kind, `${path}${field}.`, [...around, type]) : [];
  });
  return [...own, ...nested].sort();
}

function schemaOf(type: BlockClass, field: string, rules: readonly FieldRule[]): Schema {
  const own = rules.filter(({ each }) => !each).map(({ name, constraints }) => RULES[name]?.(constraints) ?? {});
  const items = rules.filter(({ each }) => each).map(({ name, constraints }) => RULES[name]?.(constraints) ?? {});
  const merged = Object.assign({}, KINDS.get(emittedTypeOf(type, field)) ?? {}, ...own) as Schema;
  return items.length === 0 ? merged : { ...merged, type: 'array', items: Object.assign({}, ...items) as Schema };
}

/** What TypeScript says a field is. */
const KINDS: ReadonlyMap<unknown, Schema> = new Map<unknown, Schema>([
  [String, { type: 'string' }],
  [Number, { type: 'number' }],
  [Boolean, { type: 'boolean' }],
  [Array, { type: 'array' }],
  [Date, { type: 'string', format: 'date-time' }],
]);

/** The type of a field that TypeScript emits beside its decorators. */
function emittedTypeOf(type: BlockClass, field: string): unknown {
  return Reflect.getMetadata('design:type', type.prototype as object, field);
}

function isOwnClass(kind: unknown): kind is BlockClass {
  return typeof kind === 'function' && kind !== Object && kind !== Secret && !KINDS.has(kind);
}

/** What decorators of class-validator say in the words of JSON schema; what is not here it cannot say. */
const RULES: Readonly<Record<string, (constraints: readonly unknown[]) => Schema>> = {
  isString: () => ({ type: 'string' }),
  isNotEmpty: () => ({ minLength: 1 }),
  minLength: ([minLength]) => ({ minLength }),
  maxLength: ([maxLength]) => ({ maxLength }),
  isLength: ([minLength, maxLength]) => ({ minLength, ...(maxLength !== undefined && { maxLength }) }),
  matches: ([pattern]) => (pattern instanceof RegExp ? { pattern: pattern.source } : {}),
  isUrl: () => ({ type: 'string', format: 'uri' }),
  isEmail: () => ({ type: 'string', format: 'email' }),
  isUuid: () => ({ type: 'string', format: 'uuid' }),
  isDate: () => ({ type: 'string', format: 'date-time' }),
  isDateString: () => ({ type: 'string', format: 'date-time' }),
  isInt: () => ({ type: 'integer' }),
  isPort: () => ({ type: 'string' }),
  isNumber: () => ({ type: 'number' }),
  isPositive: () => ({ exclusiveMinimum: 0 }),
  min: ([minimum]) => ({ minimum }),
  max: ([maximum]) => ({ maximum }),
  isBoolean: () => ({ type: 'boolean' }),
  isArray: () => ({ type: 'array' }),
  arrayMinSize: ([minItems]) => ({ minItems }),
  arrayMaxSize: ([maxItems]) => ({ maxItems }),
  isObject: () => ({ type: 'object' }),
  nestedValidation: () => ({ type: 'object' }),
  isIn: ([values]) => (Array.isArray(values) ? { enum: values as unknown[] } : {}),
  isEnum: ([values]) => (typeof values === 'object' && values !== null ? { enum: Object.values(values) } : {}),
};
