import 'reflect-metadata';
import type { FlowParameters } from '../../runtime/parameters/flow-parameters.js';
import { InvalidParametersError } from '../../runtime/parameters/invalid-parameters.error.js';
import type { ParameterProblem } from '../../runtime/parameters/parameter-problem.js';
import { checkedInstance } from './checked-instance.js';
import { shapeOf, type ClassShape } from '../../runtime/class-schemas/class-shape.js';
import { coerced, isCoercible } from './coercion.js';
import { schemaOfTypes } from '../../runtime/class-schemas/schema-of-types.js';

/** A method that is a flow. */
interface FlowMethod {
  readonly flowName: string;
  readonly prototype: object;
  readonly methodName: string;
  /** How many parameters come before the first with a default value, and before those that take the rest. */
  readonly length: number;
  /** Option `validateParameters`. */
  readonly isValidated: boolean;
}

/** What a decorated method takes, by the types that TypeScript has recorded of it. */
export function parametersOfMethod(method: FlowMethod): FlowParameters {
  const { prototype, methodName, isValidated } = method;
  const types = (Reflect.getMetadata('design:paramtypes', prototype, methodName) ?? []) as readonly unknown[];
  const only = types.length === 1 ? types[0] : undefined;
  // Of one object nothing but its class tells the names under which it is recorded.
  const isOneObject = only !== undefined && !isCoercible(only) && only !== Array;
  const whole = isOneObject ? shapeOf(only) : null;
  const schema = schemaOfTypes(isOneObject ? [] : types, whole);
  if (!isValidated) return { schema, validated: null };
  if (types.some((type) => shapeOf(type))) {
    return { schema, validated: (args) => instancesOf(method, types, whole, args) };
  }
  return { schema, validated: types.some(isCoercible) ? (args) => primitivesOf(method, types, args) : null };
}

async function instancesOf(
  method: FlowMethod,
  types: readonly unknown[],
  whole: ClassShape | null,
  args: readonly unknown[],
): Promise<readonly unknown[]> {
  const problems: ParameterProblem[] = [];
  // An object without fields is recorded like no object: who takes one gets one, unless the method says what else.
  const given = whole && args[0] === undefined && method.length > 0 ? [{}] : args;
  const checked = await Promise.all(
    given.map((value, index) => {
      const type = typeAt(index, types, method);
      const shape = value === undefined || value === null ? null : shapeOf(type);
      if (!shape) return converted(type, value, index, problems);
      return checkedInstance(shape, value, whole && given.length === 1 ? '' : String(index), problems);
    }),
  );
  return unlessWrong(method, checked, problems);
}

function primitivesOf(method: FlowMethod, types: readonly unknown[], args: readonly unknown[]): readonly unknown[] {
  const problems: ParameterProblem[] = [];
  const values = args.map((value, index) => converted(typeAt(index, types, method), value, index, problems));
  return unlessWrong(method, values, problems);
}

/** Further arguments than there are types are the rest, of whose elements TypeScript records the type. */
function typeAt(index: number, types: readonly unknown[], { length }: FlowMethod): unknown {
  if (index < types.length) return types[index];
  return types.length > length ? types.at(-1) : undefined;
}

function converted(type: unknown, value: unknown, index: number, problems: ParameterProblem[]): unknown {
  const coercion = coerced(type, value);
  if ('value' in coercion) return coercion.value;
  problems.push({ path: String(index), problem: coercion.problem });
  return value;
}

function unlessWrong(
  { flowName }: FlowMethod,
  values: readonly unknown[],
  problems: readonly ParameterProblem[],
): readonly unknown[] {
  if (problems.length > 0) throw new InvalidParametersError(flowName, problems);
  return values;
}
