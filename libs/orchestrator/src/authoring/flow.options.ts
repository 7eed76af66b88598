import type { Duration } from '@nestor/core';

/** How a method behaves as a flow. */
export interface FlowOptions {
  /**
   * What the flow is called everywhere: unique within the application, and what its runs are found by, so keep it when
   * the class or the method is renamed. Must not contain `/ % & < >`. Default: `Class.method`.
   */
  readonly name?: string;
  /** How often a failed run is tried again. Default 0. Only failures count: neither a crash nor a cancellation does. */
  readonly retries?: number;
  /** The pause before each further attempt. Default: none. */
  readonly retryDelay?: Duration;
  /** How long one attempt may take before it fails as `TimedOut`; the next attempt has as long again. Default: no limit. */
  readonly timeout?: Duration;
  /**
   * What happens when a resumed run calls something else than it did before its process ended. `fail` ends it with
   * `ReplayDivergedError` before anything is executed; `warn` logs it and executes what is new; `run` executes it silently.
   * Default: `fail` when the same build runs, `warn` when the code was deployed anew in between.
   */
  readonly onDivergence?: 'fail' | 'warn' | 'run';
}

/** How a method behaves as a task. */
export interface TaskOptions {
  /**
   * What the task is called: unique within its class, and part of what a recorded call is recognised by, so keep it when
   * the method is renamed. Default: the method's name.
   */
  readonly name?: string;
  /** How often a failed run is tried again. Default 0. */
  readonly retries?: number;
  /** The pause before each further attempt; a list gives the pauses one by one, and its last entry repeats. Default: none. */
  readonly retryDelay?: Duration | readonly Duration[];
  /** How long one attempt may take before it fails as `TimedOut`. Default: no limit. */
  readonly timeout?: Duration;
  /**
   * Runs the task at most once: its start is durable before it does anything, and when its process dies in the midst it
   * fails with `OutcomeUnknownError` instead of running again. Costs one commit more. Default `false`: at least once.
   */
  readonly recordStart?: boolean;
}
