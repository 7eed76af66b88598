import { InvalidRunInputError } from '../../runtime/inputs/input-errors.js';
import { jsonValue } from '../../runtime/inputs/json-value.js';
import type { JsonSchema } from '../../runtime/parameters/parameter-schema.js';
import type { ParameterProblem } from '../../runtime/parameters/parameter-problem.js';
import { checkedInstance } from '../parameters/checked-instance.js';
import { shapeOf } from '../../runtime/class-schemas/class-shape.js';
import { coerced, isCoercible } from '../parameters/coercion.js';
import { schemaOfTypes } from '../../runtime/class-schemas/schema-of-types.js';
import { InvalidOptionError } from '../resolve-options.js';

/** What inputs can be: a class with decorators of class-validator, or `String`, `Number` or `Boolean`. */
export type InputType = StringConstructor | NumberConstructor | BooleanConstructor | (new () => object);

/** What an input of a type is in the code of a flow. */
export type InputOf<Type extends InputType> = Type extends StringConstructor
  ? string
  : Type extends NumberConstructor
    ? number
    : Type extends BooleanConstructor
      ? boolean
      : Type extends new () => infer Instance
        ? Instance
        : never;

/** What fields of an input are when the answer leaves them out; of a text, a number or a truth value: what it is itself. */
export type InitialInput<Type extends InputType> =
  InputOf<Type> extends string | number | boolean ? InputOf<Type> : Partial<InputOf<Type>>;

/** Of a text, a number or a truth value: the field in which it is asked for, as in the contract. */
const ONLY_FIELD = 'value';

/**
 * What a form for an input is made of. Fields with an initial value need not be filled in.
 *
 * @throws {InvalidOptionError} when nothing is known of the type.
 */
export function inputSchema(type: InputType, initial: unknown, place: string): JsonSchema {
  const shape = shapeOf(type);
  const isPlain = isCoercible(type);
  if (!shape && !isPlain) throw unknownType(type, place);
  const schema: JsonSchema = shape ? schemaOfTypes([], shape) : plainSchema(type);
  const given = (isPlain && initial !== undefined ? { [ONLY_FIELD]: initial } : (initial ?? {})) as Readonly<
    Record<string, unknown>
  >;
  const values = jsonValue(given, `initial values of ${place}`) as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(schema.properties ?? {}, name));
  if (unknown !== undefined)
    throw new InvalidOptionError(place, 'initial', `has "${unknown}", which ${type.name} has not.`);
  const properties = Object.entries(schema.properties ?? {}).map(([name, property]) => [
    name,
    name in values ? { ...property, default: values[name] } : property,
  ]);
  return {
    ...schema,
    title: type.name,
    properties: Object.fromEntries(properties) as Readonly<Record<string, JsonSchema>>,
    required: (schema.required ?? []).filter((name) => !(name in values)),
  };
}

/**
 * An input as the code of a flow gets it: an instance, checked by the rules of its class, also those that no schema tells.
 *
 * @throws {InvalidRunInputError} or rejects with it, when it does not fit.
 */
export async function inputOfType<Type extends InputType>(
  type: Type,
  input: unknown,
  flowRunId: string,
): Promise<InputOf<Type>> {
  const problems: ParameterProblem[] = [];
  const shape = shapeOf(type);
  const value = shape ? await checkedInstance(shape, input, '', problems) : plainValue(type, input, problems);
  if (problems.length > 0) throw new InvalidRunInputError(flowRunId, problems);
  return value as InputOf<Type>;
}

/** @throws {InvalidOptionError} when nothing is known of the type. */
export function assertInputType(type: InputType, place: string): void {
  if (!shapeOf(type) && !isCoercible(type)) throw unknownType(type, place);
}

function plainSchema(type: InputType): JsonSchema {
  const { 0: field } = schemaOfTypes([type], null).properties;
  return {
    type: 'object',
    properties: { [ONLY_FIELD]: { ...field, title: ONLY_FIELD } },
    required: [ONLY_FIELD],
    additionalProperties: false,
  };
}

/** An answer has it in its only field; a message may as well be the thing itself. */
function plainValue(type: InputType, input: unknown, problems: ParameterProblem[]): unknown {
  const isWrapped = typeof input === 'object' && input !== null && ONLY_FIELD in input;
  const value = isWrapped ? input[ONLY_FIELD] : input;
  const coercion = typeof value === 'object' || value === undefined ? null : coerced(type, value);
  if (coercion && 'value' in coercion) return coercion.value;
  problems.push({ path: isWrapped ? ONLY_FIELD : '', problem: coercion?.problem ?? 'must be given' });
  return value;
}

function unknownType(type: InputType, place: string): InvalidOptionError {
  return new InvalidOptionError(
    place,
    'input',
    `is ${type.name}, of which nothing is known: give its fields decorators of class-validator, and install that and ` +
      `class-transformer. String, Number and Boolean need neither.`,
  );
}
