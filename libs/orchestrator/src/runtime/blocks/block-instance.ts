import { classTransformer, classValidator } from '../class-schemas/validator-packages.js';
import type { BlockClass } from './block-definition.js';

/** An instance with these fields; nested ones are instances too where `@Type()` of class-transformer says so. */
export function instantiate<T extends object>(type: BlockClass<T>, data: object): T {
  return classTransformer()?.plainToInstance(type, data) ?? Object.assign(new type(), data);
}

/** What is wrong with an instance by the decorators of class-validator; the wrong values themselves are not in there. */
export async function problemsOf(instance: object): Promise<string[]> {
  // A class without decorators is nothing that it knows, and nothing wrong.
  const errors = await classValidator()?.validate(instance, { forbidUnknownValues: false });
  return (errors ?? []).flatMap((error) => messagesOf(error, ''));
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
