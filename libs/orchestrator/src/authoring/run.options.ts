import type { Duration, RetryDelay } from '@nestor/core';
import type { FailureCondition } from '../runtime/registry/definitions.js';
import type { AsyncMethod } from './async-method.js';

/**
 * What flows and tasks have in common.
 *
 * @typeParam M the method: `@Flow<Shop['order']>({ … })` lets functions among the options see its parameters and its result.
 * Without it they can be given, and see nothing of them.
 * @typeParam Template the text of `runName`, of which the placeholders are checked against the method.
 */
export interface RunOptions<M extends AsyncMethod = AsyncMethod, Template extends string = string> {
  /** For people. Default: none. */
  readonly description?: string;
  /** At most 100 tags, of 1 to 200 characters, of every run; a call may add further ones. Default: none. */
  readonly tags?: readonly string[];
  /** Which version of the code it is, kept with every run. Default: a hash of the method's source. */
  readonly version?: string;
  /**
   * What a run is called: a template, whose `{name}` is the parameter of that name (`{order.id}` looks into it, `{0}` is
   * the first of several arguments), or a function of the arguments. Default: two words for a flow run, the name of the
   * task and three characters for a task run.
   */
  readonly runName?: Template | ((...args: Parameters<M>) => string);
  /** How often a failed run is tried again. Default 0. Only failures count: neither a crash nor a cancellation does. */
  readonly retries?: number;
  /**
   * The pause before each further attempt: one for all; a list, whose last entry repeats; `exponentialBackoff(…)`; or a
   * function of the number of retries, called once. At most 50 pauses. Default: none.
   */
  readonly retryDelay?: RetryDelay;
  /** How far pauses are spread around their length, as a share of it: 0.3 makes 10 s anything from 7 s to 13 s. Default 0. */
  readonly retryJitter?: number;
  /**
   * Whether a failure is worth another attempt; asked while retries remain. `false`, or an error inside it, which is logged,
   * ends the run. Default: every failure is.
   */
  readonly retryCondition?: FailureCondition<Parameters<M>>;
  /**
   * Whether the result is kept. Of a flow: also those of its tasks that say nothing about it. A result that is not kept cannot
   * be looked up, and a task without one runs again when its flow run begins again. Default: that of the flow around, else of
   * the module, else `true`.
   */
  readonly persistResult?: boolean;
  /** How long one attempt may take before it fails as `TimedOut`; the next attempt has as long again. Default: no limit. */
  readonly timeout?: Duration;
  /**
   * Whether what is printed to the console (`log`, `info`, `debug`, `trace`, `warn`, `error`) goes to the log of the
   * run, and by way of that to Nest's logger, in place of the console. Default: as the flow or task that called it;
   * `false` for the outermost.
   */
  readonly captureConsole?: boolean;
}
