import type { ParameterProblem } from '../../runtime/parameters/parameter-problem.js';
import { shapeOf, type ClassShape, type DataClass, type Field } from '../../runtime/class-schemas/class-shape.js';
import { coerced, kindOf } from './coercion.js';
import { HeldValues, isPlain } from './held-values.js';
import { validatorPackages } from '../../runtime/class-schemas/validator-packages.js';

/** What class-validator finds wrong in one place, and in what is within that. */
interface Finding {
  /** `undefined` where it is about the part itself, of which no class is known. */
  readonly property: string | undefined;
  readonly value?: unknown;
  readonly constraints?: Readonly<Record<string, string>>;
  readonly children?: readonly Finding[];
}

/**
 * An instance of a class made of data, and checked by the rules of the class; notes what is wrong with it. What is an
 * instance already, made by a codec, is only checked.
 *
 * @param data is changed.
 * @param path of the data among the parameters; empty for the one object that a flow takes.
 */
export async function checkedInstance(
  shape: ClassShape,
  data: unknown,
  path: string,
  problems: ParameterProblem[],
): Promise<unknown> {
  if (!(data instanceof shape.type) && !isPlain(data)) {
    problems.push({ path: path || '0', problem: `must be an object and is ${kindOf(data)}` });
    return data;
  }
  const { validator } = installed();
  const review = new Review();
  const instance = isPlain(data) ? instanceOf(shape, data, path, review) : data;
  const findings: readonly Finding[] = await validator.validate(instance, { validationError: { target: false } });
  const found = new Map<string, string>();
  collect(findings, path, false, found);
  // Where both have something to say, the author may have chosen the words of the rule.
  for (const [where, problem] of new Map([...review.problems, ...found])) problems.push({ path: where, problem });
  return instance;
}

function instanceOf(shape: ClassShape, data: Record<string, unknown>, path: string, review: Review): object {
  review.held.hide(data);
  // Not `enableImplicitConversion`: it takes an object for the text "[object Object]", and "false" for true.
  const options = { exposeDefaultValues: true, targetMaps: nestedClassesWithin(shape.type) };
  const instance = installed().transformer.plainToInstance(shape.type, data, options);
  review.held.restore(instance);
  review.of(instance, shape, path);
  return instance;
}

/** Classes that TypeScript records and nobody had to repeat in a `@Type()`: by the class and field in which they stand. */
function nestedClassesWithin(type: DataClass): { target: DataClass; properties: Record<string, DataClass> }[] {
  const classes = new Set([type]);
  return Array.from(classes, (target) => {
    const nested = (shapeOf(target)?.fields ?? []).flatMap((field) =>
      field.nested ? [[field.name, field.nested]] : [],
    );
    for (const [, one] of nested as [string, DataClass][]) classes.add(one); // the walk goes on to it
    return { target, properties: Object.fromEntries(nested) as Record<string, DataClass> };
  });
}

/** Converts what the fields of an instance are to hold, there and in what is within it, and notes what cannot be. */
class Review {
  /** What was an instance before: whoever made it knew what is in it. */
  readonly held = new HeldValues();
  /** By path. */
  readonly problems = new Map<string, string>();

  of(instance: object, { type, fields, undecorated }: ClassShape, path: string): void {
    const values = instance as Record<string, unknown>;
    const known = new Set([...fields.map(({ name }) => name), ...undecorated]);
    for (const name of Object.keys(values)) {
      if (known.has(name) || values[name] === undefined) continue;
      this.problems.set(at(path, name), `is not known to ${type.name}, which takes ${[...known].join(', ')}`);
    }
    for (const field of fields) {
      if (!Object.hasOwn(values, field.name)) continue;
      const value = values[field.name];
      const result = this.valueOf(field, value, at(path, field.name));
      if (result !== value) values[field.name] = result;
    }
  }

  private valueOf(field: Field, value: unknown, path: string): unknown {
    if (Array.isArray(value) && field.isList) {
      return value.map((element: unknown, index) =>
        this.elementOf(field, field.elementType, element, `${path}[${index}]`),
      );
    }
    if (field.type === Array && value !== undefined && value !== null && !Array.isArray(value)) {
      this.problems.set(path, `must be a list and is ${kindOf(value)}`);
    }
    return field.isList ? value : this.elementOf(field, field.type, value, path);
  }

  private elementOf({ nests }: Field, type: unknown, value: unknown, path: string): unknown {
    if (nests) {
      const shape = typeof value === 'object' && value !== null ? shapeOf(value.constructor) : null;
      if (shape && !this.held.has(value)) this.of(value as object, shape, path);
      return value;
    }
    const coercion = coerced(type, value);
    if ('value' in coercion) return coercion.value;
    this.problems.set(path, coercion.problem);
    return value;
  }
}

/** What class-validator says, by path. */
function collect(findings: readonly Finding[], path: string, isList: boolean, found: Map<string, string>): void {
  for (const { property, value, constraints, children } of findings) {
    const where = property === undefined ? path : isList ? `${path}[${property}]` : at(path, property);
    const texts = Object.entries(constraints ?? {}).map(([rule, text]) =>
      rule === 'unknownValue' ? UNKNOWN_CLASS : withoutName(text, property),
    );
    if (texts.length > 0) found.set(where, texts.join(', '));
    collect(children ?? [], where, Array.isArray(value) || value instanceof Set, found);
  }
}

const UNKNOWN_CLASS = 'has no class with rules to be checked by; name it with @Type(() => …) on the property';

/** The path says where it is. */
function withoutName(text: string, property: string | undefined): string {
  const beginning = `${property} `;
  return text.startsWith(beginning) ? text.slice(beginning.length) : text;
}

function at(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function installed(): NonNullable<ReturnType<typeof validatorPackages>> {
  const packages = validatorPackages();
  if (!packages) throw new TypeError('A class has rules, and class-validator is not there.'); // no shape without them
  return packages;
}
