import type { State } from '@nestor/core';
import type { RunLogger } from '../engine/run-logger.js';

/** The method of a flow or task. */
type RunMethod = (...args: never[]) => Promise<unknown>;

/** The arguments of a method; those of one that is not known could be any. */
type ArgumentsOf<M extends RunMethod> =
  Parameters<M> extends infer Args
    ? Args extends readonly (infer Element)[]
      ? [Element] extends [never]
        ? readonly unknown[]
        : Args
      : never
    : never;

type ResultOf<M extends RunMethod> = M extends (...args: never[]) => Promise<infer Result> ? Result : never;

interface HookedRunOf<Kind> {
  readonly kind: Kind;
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  /** Counts from 1; 0 when the run never began. */
  readonly attempt: number;
}

/** The run that entered a state. */
export type HookedRun =
  | (HookedRunOf<'flow-run'> & { readonly flowRunId: string; readonly taskRunId: null; readonly flowName: string })
  | (HookedRunOf<'task-run'> & {
      /** `null` when the task was called outside any flow. */
      readonly flowRunId: string | null;
      readonly taskRunId: string;
      readonly taskName: string;
    });

/**
 * What a hook is told. Everything in it is a copy, decoded from the record: it is the same whether the hook is called at once,
 * or after a crash in another process.
 *
 * @typeParam M the method: `HookContext<Shop['order']>` knows its arguments.
 */
export interface HookContext<M extends RunMethod = RunMethod> {
  readonly run: HookedRun;
  /** Of a task, an argument that has no form in which it could be recorded (a function, for instance) is `undefined`. */
  readonly args: ArgumentsOf<M>;
  /** The state that the run entered. */
  readonly state: State;
  /** Logs to the run. */
  readonly logger: RunLogger;
}

/** What a hook among `onCompletion` is told. */
export interface CompletionContext<M extends RunMethod = RunMethod> extends HookContext<M> {
  /** What the caller got. */
  readonly result: ResultOf<M>;
}

/** What a hook among `onFailure` is told. */
export interface FailureContext<M extends RunMethod = RunMethod> extends HookContext<M> {
  /** What the method threw; `undefined` where nothing did: somebody set the state by hand, or a pause was not ended in time. */
  readonly error: unknown;
}
