import type { AsyncMethod } from './async-method.js';
import type { RunOptions } from './run.options.js';

/** How a method behaves as a task. */
export interface TaskOptions<M extends AsyncMethod = AsyncMethod, Template extends string = string> extends RunOptions<
  M,
  Template
> {
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
}
