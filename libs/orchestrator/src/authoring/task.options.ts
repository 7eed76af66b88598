import type { CachePolicy, Duration } from '@nestor/core';
import type { TransactionContext } from '../runtime/transactions/transaction-hooks.js';
import type { TransactionIsolation } from '../runtime/transactional/transaction-settings.js';
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
  /**
   * Runs each attempt in a transaction of a TypeORM data source of yours: what it writes there and the record that it is done
   * are committed together, or not at all, so they come about exactly once. Repositories, managers and `query()` of that data
   * source take part without being told; tasks and flows cannot be called within. It has to be on the database that holds the
   * runs, which is checked when the application starts. `true` is the default data source, a text the one of that name.
   * Default `false`.
   */
  readonly transactional?: boolean | string | TransactionalOptions;
}

/** The transactions of a transactional task. */
export interface TransactionalOptions {
  /** The name of the data source, as `TypeOrmModule.forRoot({ name })` has it. Default: the one without a name. */
  readonly dataSource?: string;
  /**
   * The isolation level. Above `READ COMMITTED` PostgreSQL may refuse a transaction because of others (`40001`), which is a
   * failure of the attempt like any other: give the task `retries`. Default: that of the data source.
   */
  readonly isolation?: TransactionIsolation;
}
