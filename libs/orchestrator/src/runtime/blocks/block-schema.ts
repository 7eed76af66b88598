import { createHash } from 'node:crypto';
import { canonicalText } from '@nestor/core';
import type { BlockRegistration } from '../../records/blocks/blocks.repository.js';
import { shapeByRules, type Field } from '../class-schemas/class-shape.js';
import { schemaOfField, schemaOfPlainType } from '../class-schemas/schema-of-field.js';
import type { JsonSchema } from '../parameters/parameter-schema.js';
import { Secret } from '../secrets/secret.js';
import { blockOptionsOf, secretFieldsOf, type BlockClass } from './block-definition.js';
import { partsOf } from './block-content.js';

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
function fieldsOf(type: BlockClass): { properties: Record<string, JsonSchema>; required: string[] } {
  const fields = new Map(ruledFieldsOf(type).map((field) => [field.name, field]));
  const secrets = secretFieldsOf(type);
  const { data: defaults } = partsOf(new type());
  const names = [...new Set([...fields.keys(), ...secrets.keys(), ...Object.keys(defaults)])].sort();
  const properties = names.map((name): [string, JsonSchema] => {
    if (secrets.has(name)) return [name, { title: name, type: 'string', writeOnly: true, format: 'password' }];
    const field = fields.get(name);
    const schema = field ? schemaOfField({ ...field, default: undefined }, schemaOfType) : { title: name };
    return [name, { ...schema, ...(name in defaults && { default: defaults[name] }) }];
  });
  const isOptional = (name: string): boolean =>
    name in defaults ||
    secrets.get(name)?.optional ||
    fields.get(name)?.rules.some((rule) => rule.name === 'isOptional') ||
    false;
  return { properties: Object.fromEntries(properties), required: names.filter((name) => !isOptional(name)) };
}

/** Secret fields, also of classes that fields are of, with dots between. */
function secretNamesOf(type: BlockClass, path = '', around: readonly object[] = []): string[] {
  if (around.includes(type)) return [];
  const own = [...secretFieldsOf(type).keys()].map((field) => `${path}${field}`);
  const nested = ruledFieldsOf(type).flatMap(({ name }) => {
    const kind: unknown = Reflect.getMetadata('design:type', type.prototype as object, name);
    return isOwnClass(kind) ? secretNamesOf(kind, `${path}${name}.`, [...around, type]) : [];
  });
  return [...own, ...nested].sort();
}

function ruledFieldsOf(type: BlockClass): readonly Field[] {
  return shapeByRules(type)?.fields ?? [];
}

/** A class within it is any object: documents of it are no documents of their own. */
function schemaOfType(type: unknown): JsonSchema {
  return type === Secret ? {} : schemaOfPlainType(type);
}

function isOwnClass(kind: unknown): kind is BlockClass {
  return typeof kind === 'function' && kind !== Object && kind !== Secret;
}
