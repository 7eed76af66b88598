import type { ClassRegistry } from '@nestor/core';
import type { FlowDefinition } from '../registry/definitions.js';
import type { Attempt } from './attempt.js';

/**
 * The parameters of a run, by name: the fields of the one object a flow takes. Arguments of any other form are named by
 * their position, from `"0"`; so is an object that could be taken for those.
 */
export function parametersOf(args: readonly unknown[], classes?: ClassRegistry): Record<string, unknown> {
  const only = args.length === 1 ? args[0] : undefined;
  if (isRecord(only, classes) && !isPositional(only)) return { ...only };
  return Object.fromEntries(args.map((value, index) => [String(index), value]));
}

/** The arguments that parameters were made of. */
export function argumentsOf(parameters: Readonly<Record<string, unknown>>): unknown[] {
  return isPositional(parameters) ? Object.values(parameters) : [parameters];
}

/**
 * Calls the method of a flow with arguments that it can take. An attempt that ends while they are checked calls nothing.
 *
 * @throws {InvalidParametersError} or rejects with it, before any code of the method has run, when it cannot take them.
 */
export function callWithParameters(
  { invoke, parameters }: Pick<FlowDefinition, 'invoke' | 'parameters'>,
  receiver: object,
  args: readonly unknown[],
  attempt: Attempt,
): Promise<unknown> {
  const valid = parameters.validated ? parameters.validated(args) : args;
  if (!(valid instanceof Promise)) return invoke(receiver, valid);
  return valid.then((all) => {
    attempt.assertLive();
    return invoke(receiver, all);
  });
}

/** Whether the fields are named `"0"`, `"1"`, …; those of an object come in that order by themselves. */
function isPositional(parameters: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(parameters).every((name, index) => name === String(index));
}

/**
 * Objects that mean more than their fields: those that the encoding has a form of its own for, as it
 * has for registered classes.
 */
const VALUES = [Date, Map, Set, RegExp, URL, Error, ArrayBuffer] as const;

function isRecord(value: unknown, classes?: ClassRegistry): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return false;
  return !VALUES.some((type) => value instanceof type) && !classes?.codecOf(value);
}
