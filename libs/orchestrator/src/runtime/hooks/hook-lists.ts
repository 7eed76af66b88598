import { isTerminal, StateType } from '@nestor/core';
import type { HookContext } from './hook-context.js';

/** A hook: a function, or the name of a method of the provider. */
export type Hook = string | ((context: HookContext) => unknown);

/** The options that hold hooks, by the state that a run enters. */
export const HOOK_OPTIONS = {
  [StateType.Running]: 'onRunning',
  [StateType.Completed]: 'onCompletion',
  [StateType.Failed]: 'onFailure',
  [StateType.Cancelled]: 'onCancellation',
  [StateType.Crashed]: 'onCrashed',
} as const;

export type HookedState = keyof typeof HOOK_OPTIONS;

/** The hooks of a definition; never an empty list. */
export type HookLists = Readonly<Partial<Record<StateType, readonly Hook[]>>>;

/**
 * Whether hooks are called later, and elsewhere, when the process dies before it has called them. Those of a run that begins
 * are not: it begins again, and they are called for that.
 */
export function areOwed(hooks: HookLists, entered: StateType): boolean {
  return isTerminal(entered) && hooks[entered] !== undefined;
}
