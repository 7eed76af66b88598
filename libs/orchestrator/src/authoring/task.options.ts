import type { CachePolicy, Duration } from '@nestor/core';
import type { TransactionContext } from '../runtime/transactions/transaction-hooks.js';
import type { AsyncMethod } from './async-method.js';
import type { HookOptions } from './hook.options.js';
import type { RunOptions } from './run.options.js';

type OneTransactionHook<M extends AsyncMethod> =
  string | ((context: TransactionContext<Parameters<M>, Awaited<ReturnType<M>>>) => unknown);
type TransactionHookOption<M extends AsyncMethod> = OneTransactionHook<M> | readonly OneTransactionHook<M>[];

/** How a method behaves as a task. */
export interface TaskOptions<
  M extends AsyncMethod = AsyncMethod,
  Template extends string = string,
  Running extends string = string,
  Done extends string = string,
  Failed extends string = string,
>
  extends RunOptions<M, Template>, HookOptions<M, Running, Done, Failed> {
  /**
   * What the task is called: unique within its class, and part of what a recorded call is recognised by, so keep it when
   * the method is renamed. Default: the method's name.
   */
  readonly name?: string;
  /**
   * Runs the task at most once: its start is durable before it does anything, and when its process dies in the midst it
   * fails with `OutcomeUnknownError` instead of running again. Costs one commit more. Default `false`: at least once.
   */
  readonly recordStart?: boolean;
  /**
   * Called when the transaction commits that the task is part of; outside any, when the task has completed. A function, or the
   * name of a method of the same provider. Default: none.
   */
  readonly onCommit?: TransactionHookOption<M>;
  /**
   * Called when what the task did is to be taken back: the transaction that it is part of failed, or the task itself did.
   * Recorded as a task run, so that it is not repeated. A function, or the name of a method of the same provider. Default: none.
   */
  readonly onRollback?: TransactionHookOption<M>;
  /**
   * What the outcome is remembered by, across runs and processes: `INPUTS`, `TASK_SOURCE`, `FLOW_PARAMETERS`, `RUN_ID`, any
   * `combined(…)` of them, `excluding(INPUTS, 'client')`. A call whose outcome is remembered ends as `COMPLETED`, named `Cached`,
   * without running. Only results are remembered, no failures. Default: nothing is remembered.
   */
  readonly cachePolicy?: CachePolicy;
  /**
   * The key an outcome is remembered under, made of the arguments; `null`: it is not. Takes the place of `cachePolicy`. Tasks
   * that give the same key share the outcome.
   */
  readonly cacheKey?: (...args: Parameters<M>) => string | null;
  /**
   * The key an outcome is remembered under, as a template: `'report-{day}'`. Takes the place of the others, and is what
   * `Results.find` takes.
   */
  readonly resultKey?: string;
  /** How long an outcome is remembered, from its completion. Default: until it is replaced. */
  readonly cacheExpiration?: Duration;
  /** Runs the task although its outcome is remembered, and remembers the new one. Default: that of the module, else `false`. */
  readonly refreshCache?: boolean;
  /**
   * What happens when several calls ask for an outcome that is not remembered yet: `read-committed` lets all of them run;
   * `serializable` lets one run, across processes, while the others wait for its outcome. Default `read-committed`.
   */
  readonly cacheIsolation?: 'read-committed' | 'serializable';
}
