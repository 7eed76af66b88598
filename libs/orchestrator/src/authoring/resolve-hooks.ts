import type { StateType } from '@nestor/core';
import { HOOK_OPTIONS, type Hook, type HookedState, type HookLists } from '../runtime/hooks/hook-lists.js';
import type { ProviderClass } from '../runtime/registry/definitions.js';
import { InvalidOptionError } from './resolve-options.js';

/** The options that hold hooks; a task has fewer than a flow. */
type GivenHooks = { readonly [State in HookedState as (typeof HOOK_OPTIONS)[State]]?: unknown };

/**
 * The hooks of a definition, by the state that calls them; `null` when there are none.
 *
 * @throws {InvalidOptionError} when one is neither a function nor the name of a method of the provider.
 */
export function resolvedHooks(options: GivenHooks, provider: ProviderClass, place: string): HookLists | null {
  const lists: Partial<Record<StateType, readonly Hook[]>> = {};
  for (const [state, option] of Object.entries(HOOK_OPTIONS) as [HookedState, keyof GivenHooks][]) {
    const given = options[option] ?? [];
    const list = (Array.isArray(given) ? given : [given]) as readonly unknown[];
    for (const hook of list) {
      const problem = problemOf(hook, provider);
      if (problem) throw new InvalidOptionError(place, option, problem);
    }
    if (list.length > 0) lists[state] = list as readonly Hook[];
  }
  return Object.keys(lists).length > 0 ? lists : null;
}

function problemOf(hook: unknown, provider: ProviderClass): string | null {
  if (typeof hook === 'function') return null;
  if (typeof hook !== 'string') return 'has an entry that is neither a function nor the name of a method.';
  if (isMethod(provider.prototype as object, hook)) return null;
  return `names ${JSON.stringify(hook)}, which is no method of ${provider.name}.`;
}

/** Whether a class has a method. Looked up without being read: a getter would be executed, on what it was not made for. */
export function isMethod(prototype: object, name: string): boolean {
  if (name === 'constructor') return false;
  let place: object | null = prototype;
  while (place !== null && place !== Object.prototype) {
    const descriptor = Object.getOwnPropertyDescriptor(place, name);
    if (descriptor) return typeof descriptor.value === 'function';
    place = Object.getPrototypeOf(place) as object | null;
  }
  return false;
}
