import type * as ClassTransformer from 'class-transformer';
import type * as ClassValidator from 'class-validator';
import type { BlockClass } from './block-definition.js';

/** A rule that a decorator of class-validator gave to a field. */
export interface FieldRule {
  readonly field: string;
  /** `isString`, `min`, … */
  readonly name: string;
  readonly constraints: readonly unknown[];
  /** Whether it is about each item of a list. */
  readonly each: boolean;
}

type Validator = Pick<typeof ClassValidator, 'validate' | 'getMetadataStorage'>;
type Transformer = Pick<typeof ClassTransformer, 'plainToInstance'>;

// Both packages are optional: whoever decorates fields has them, and a class without decorators does not need them. They are
// CommonJS, which an ES module that imports them shares with us; `import()` is not to be had in every host, such as Jest.
/* eslint-disable @typescript-eslint/no-require-imports -- see above; bundlers follow a `require` of a literal */
const validator = (): Validator | null => ifInstalled('class-validator', () => require('class-validator') as Validator);
const transformer = (): Transformer | null =>
  ifInstalled('class-transformer', () => require('class-transformer') as Transformer);
/* eslint-enable @typescript-eslint/no-require-imports */

/** An instance with these fields; nested ones are instances too where `@Type()` of class-transformer says so. */
export function instantiate<T extends object>(type: BlockClass<T>, data: object): T {
  return transformer()?.plainToInstance(type, data) ?? Object.assign(new type(), data);
}

/** What is wrong with an instance by the decorators of class-validator; the wrong values themselves are not in there. */
export async function problemsOf(instance: object): Promise<string[]> {
  // A class without decorators is nothing that it knows, and nothing wrong.
  const errors = await validator()?.validate(instance, { forbidUnknownValues: false });
  return (errors ?? []).flatMap((error) => messagesOf(error, ''));
}

/** The rules of the fields of a class. */
export function rulesOf(type: BlockClass): FieldRule[] {
  const rules = validator()?.getMetadataStorage().getTargetValidationMetadatas(type, '', true, false) ?? [];
  return rules.map(({ propertyName, name, type: kind, constraints, each }) => ({
    field: propertyName,
    name: name ?? kind,
    constraints: (constraints as readonly unknown[] | undefined) ?? [],
    each,
  }));
}

interface FieldError {
  readonly property: string;
  readonly constraints?: Record<string, string>;
  readonly children?: readonly FieldError[];
}

function messagesOf({ property, constraints = {}, children = [] }: FieldError, path: string): string[] {
  const here = `${path}${property}`;
  return [
    ...Object.values(constraints).map((message) => (path === '' ? message : `${here}: ${message}`)),
    ...children.flatMap((child) => messagesOf(child, `${here}.`)),
  ];
}

/** `null` when there is no such package; one that is there and cannot be loaded is an error. */
function ifInstalled<T>(name: string, load: () => T): T | null {
  try {
    return load();
  } catch (error) {
    const { code, message = '' } = error as { code?: unknown; message?: string };
    if (code === 'MODULE_NOT_FOUND' && message.includes(`'${name}'`)) return null;
    throw error;
  }
}
