import type { JsonSchema, ParameterSchema } from '../parameters/parameter-schema.js';
import { shapeOf, type ClassShape, type DataClass } from './class-shape.js';
import { schemaOfField, schemaOfPlainType } from './schema-of-field.js';

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
      properties: Object.fromEntries(
        fields.map((field) => [field.name, schemaOfField(field, (type) => this.schemaOf(type))]),
      ),
      ...(required.length > 0 && { required }),
      ...(undecorated.size === 0 && { additionalProperties: false }),
    };
  }

  /** What values of a type look like; a class is referred to, from within `allOf`, beside which other keywords hold. */
  schemaOf(type: unknown): JsonSchema {
    const shape = shapeOf(type);
    return shape ? { allOf: [{ $ref: this.refTo(shape) }] } : schemaOfPlainType(type);
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
}
