import 'reflect-metadata';
import { outsideAnyScope } from '../engine/run-scope.js';
import { classValidator, typeStorage, validatorPackages } from './validator-packages.js';

/** A class whose instances are parameters, or parts of them. */
export type DataClass = new () => object;

/** One decorator of class-validator on a field. */
export interface Rule {
  /** `isInt`, `minLength`, …; empty where it has none. */
  readonly name: string;
  /** Whether it is about the elements of the field. */
  readonly each: boolean;
  readonly constraints: readonly unknown[];
}

/** A field with decorators of class-validator. */
export interface Field {
  readonly name: string;
  /** The class that TypeScript records for the type of the field; `undefined` where it is unknown, or is none. */
  readonly type: unknown;
  /** That of its elements, as far as it is known. */
  readonly elementType: unknown;
  /**
   * Whether it holds a list, or is one of several types of which a list is one; its rules and its class may be
   * about the elements then.
   */
  readonly isList: boolean;
  /** Whether the value, or each element, is checked by the rules of its own class. */
  readonly nests: boolean;
  /** That class; `null` when there is none, or when it depends on the data. */
  readonly nested: DataClass | null;
  readonly rules: readonly Rule[];
  /** Whether it is refused when it is left out. */
  readonly isRequired: boolean;
  /** What it is when it is left out, as JSON; `undefined` when it is not the same every time, or not said in JSON. */
  readonly default: unknown;
  readonly description: string | undefined;
}

/** What is known of a class whose fields have decorators of class-validator. */
export interface ClassShape {
  readonly type: DataClass;
  readonly fields: readonly Field[];
  /** Fields without a decorator that instances have all the same. */
  readonly undecorated: ReadonlySet<string>;
}

/** What class-validator keeps of a decorator, in all releases that we take. */
interface Metadata {
  readonly type: string;
  readonly name?: string;
  readonly propertyName: string;
  readonly constraintCls: unknown;
  readonly constraints?: readonly unknown[];
  readonly each?: boolean;
  readonly context?: unknown;
}

interface MetadataStorage {
  getTargetValidationMetadatas(type: unknown, schema: string, always: boolean, strictGroups: boolean): Metadata[];
  getTargetValidatorConstraints(constraint: unknown): { readonly name?: string }[];
}

const NESTED = 'nestedValidation';
const CONDITIONAL = 'conditionalValidation';
/** Decorators that take `undefined`. */
const LENIENT: ReadonlySet<string> = new Set([NESTED, CONDITIONAL, 'whitelistValidation', 'promiseValidation']);

/** The types that rules ask for, where TypeScript does not tell: of elements, and in unions. */
const TYPES_OF_RULES: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['isString', String],
  ['isNumber', Number],
  ['isInt', Number],
  ['isBoolean', Boolean],
  ['isDate', Date],
]);

const LISTS: ReadonlySet<unknown> = new Set([Array, Set]);
/** What is recorded for a type says nothing of what is in it. */
const CONTAINERS: ReadonlySet<unknown> = new Set([Array, Set, Map, Object]);

const shapes = new WeakMap<object, ClassShape | null>();

/**
 * What is known of a type of which instances can be made; `null` when it is no class, or a class without any decorator of
 * class-validator, or when the host has not installed what makes them.
 */
export function shapeOf(type: unknown): ClassShape | null {
  return validatorPackages() && shapeByRules(type);
}

/** The same, whether or not there is anything that makes instances. */
export function shapeByRules(type: unknown): ClassShape | null {
  if (typeof type !== 'function') return null;
  let shape = shapes.get(type);
  if (shape === undefined) shapes.set(type, (shape = readShape(type as DataClass)));
  return shape;
}

function readShape(type: DataClass): ClassShape | null {
  const storage = classValidator()?.getMetadataStorage() as MetadataStorage | undefined;
  if (!storage) return null;
  const byField = new Map<string, Metadata[]>();
  for (const metadata of storage.getTargetValidationMetadatas(type, '', false, false)) {
    const { propertyName } = metadata;
    byField.set(propertyName, [...(byField.get(propertyName) ?? []), metadata]);
  }
  if (byField.size === 0) return null;
  const instances = freshInstances(type);
  const fields = Array.from(byField, ([name, metadata]) => readField(type, name, metadata, storage, instances));
  const undecorated = Object.keys(instances?.[0] ?? {}).filter((name) => !byField.has(name));
  return { type, fields, undecorated: new Set(undecorated) };
}

function readField(
  type: DataClass,
  name: string,
  metadata: readonly Metadata[],
  storage: MetadataStorage,
  instances: readonly [Instance, Instance] | null,
): Field {
  const rules = metadata.map(({ name: own, constraintCls, constraints, each }) => ({
    name: own ?? storage.getTargetValidatorConstraints(constraintCls)[0]?.name ?? '',
    each: each ?? false,
    constraints: constraints ?? [],
  }));
  const typeOf = (each: boolean): unknown =>
    rules.flatMap((rule) => (rule.each === each ? (TYPES_OF_RULES.get(rule.name) ?? []) : []))[0];
  const designed: unknown = Reflect.getMetadata('design:type', type.prototype as object, name);
  const isKnown = designed !== undefined && designed !== Object;
  const isList = LISTS.has(designed) || rules.some(({ each, name: rule }) => each || rule === 'isArray');
  const nests = metadata.some((one) => one.type === NESTED);
  const nested = nests ? nestedClass(type, name, designed) : null;
  // One of several classes, and which one depends on the data: nothing can be said of all of them.
  const isOpen = nests && !nested;
  const isLeftToOthers = metadata.some((one) => one.type === CONDITIONAL) || instances?.[0][name] !== undefined;
  return {
    name,
    type: isOpen && !isList ? undefined : isKnown ? designed : typeOf(false),
    elementType: isList ? typeOf(true) : undefined,
    isList,
    nests,
    nested,
    rules,
    isRequired: !isLeftToOthers && metadata.some((one) => !LENIENT.has(one.type)),
    default: instances && defaultOf(name, instances),
    description: descriptionOf(type, name, metadata),
  };
}

/** What `@Type()` names, else what TypeScript records; nothing where it depends on the data. */
function nestedClass(type: DataClass, name: string, designed: unknown): DataClass | null {
  const given = typeStorage()?.findTypeMetadata(type, name);
  if (given?.options?.discriminator !== undefined) return null;
  const nested = given?.typeFunction ? namedBy(given.typeFunction) : designed;
  // Not its shape: that may refer back to this one.
  return typeof nested === 'function' && !CONTAINERS.has(nested) ? (nested as DataClass) : null;
}

function namedBy(typeFunction: () => unknown): unknown {
  try {
    return typeFunction();
  } catch {
    return undefined; // it asks for the object that is being converted
  }
}

type Instance = Readonly<Record<string, unknown>>;

/**
 * Two instances as they are when nothing is given, to see what is so every time; `null` where the constructor asks for
 * something. Outside any run, for an initialiser that draws from the run draws in the conversion alone.
 */
function freshInstances(type: DataClass): readonly [Instance, Instance] | null {
  if (type.length > 0) return null;
  try {
    return outsideAnyScope(() => [new type() as Instance, new type() as Instance]);
  } catch {
    return null;
  }
}

function defaultOf(name: string, [one, other]: readonly [Instance, Instance]): unknown {
  const value = one[name];
  // A date is the time at which this is read, more often than not.
  if (value === null || value instanceof Date || value instanceof Map || value instanceof Set) return undefined;
  if (typeof value === 'number' && !Number.isFinite(value)) return undefined;
  try {
    const text = JSON.stringify(value) as string | undefined;
    return text !== undefined && text === JSON.stringify(other[name]) ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

/** What `context` of a decorator, or `@ApiProperty()` of Nest's OpenAPI package, says of the field. */
function descriptionOf(type: DataClass, name: string, metadata: readonly Metadata[]): string | undefined {
  const described: unknown[] = metadata.map(({ context }) => context);
  described.push(Reflect.getMetadata('swagger/apiModelProperties', type.prototype as object, name));
  const texts = described.map((one) => (one as { description?: unknown } | undefined)?.description);
  return texts.find((text): text is string => typeof text === 'string');
}
