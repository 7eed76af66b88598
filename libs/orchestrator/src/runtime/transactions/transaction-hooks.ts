/** A task that was committed or taken back, as a hook of it is told. */
export interface TransactionContext<Args extends readonly unknown[] = readonly unknown[], Result = unknown> {
  readonly taskRunId: string;
  readonly taskName: string;
  readonly flowRunId: string | null;
  readonly args: Args;
  /** What it returned; `undefined` for a task that failed itself. */
  readonly result: Result;
  /** A copy of a value that was set in the transaction, or around it; `undefined` when there is none. */
  readonly get: (name: string) => unknown;
}

/** A hook: a function, or the name of a method of the provider. */
export type TransactionHook = string | ((context: TransactionContext<never, never>) => unknown);

/** What follows the end of the transaction that a task is part of. */
export interface TransactionHooks {
  readonly onCommit: readonly TransactionHook[];
  readonly onRollback: readonly TransactionHook[];
}

/** Calls a hook: a function, or a method of the provider with its `this`. */
export function callHook(hook: TransactionHook, receiver: object, context: TransactionContext): unknown {
  const given = context as TransactionContext<never, never>;
  if (typeof hook === 'function') return hook(given);
  return (receiver as Record<string, (told: TransactionContext<never, never>) => unknown>)[hook]?.(given);
}
