import type { TransactionHook, TransactionHooks } from '../runtime/transactions/transaction-hooks.js';
import { isMethod } from './resolve-hooks.js';
import { InvalidOptionError } from './resolve-options.js';
import type { TaskOptions } from './task.options.js';

/** The hooks of a task; `null` when it has none. @throws {InvalidOptionError} when one names no method. */
export function resolvedTransactionHooks(
  { onCommit, onRollback }: TaskOptions,
  prototype: object,
  place: string,
): TransactionHooks | null {
  const hooks = {
    onCommit: listOf(onCommit as Given, 'onCommit', prototype, place),
    onRollback: listOf(onRollback as Given, 'onRollback', prototype, place),
  };
  return hooks.onCommit.length + hooks.onRollback.length === 0 ? null : hooks;
}

type Given = TransactionHook | readonly TransactionHook[] | undefined;

function listOf(given: Given, option: string, prototype: object, place: string): readonly TransactionHook[] {
  const hooks = given === undefined ? [] : typeof given === 'object' ? given : [given];
  for (const hook of hooks) {
    if (typeof hook === 'function') continue;
    if (!isMethod(prototype, hook)) {
      throw new InvalidOptionError(place, option, `names ${JSON.stringify(hook)}, which is no method of the class.`);
    }
  }
  return hooks;
}
