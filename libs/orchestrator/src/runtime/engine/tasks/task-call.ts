import type { CallOptions } from '../../registry/call-options.js';
import type { RunSettings, TaskDefinition } from '../../registry/definitions.js';
import type { CallEngine } from '../../registry/engine-bindings.js';
import type { RecordedCall } from '../../replay/recorded-call.js';
import type { LiveTaskRun } from '../../transitions/live-run.js';
import type { Attempt } from '../attempt.js';
import type { LogSource } from '../run-logs.js';
import type { RunScope } from '../run-scope.js';

/** What is called: a decorated method, or the task run that stands for a subflow. */
export type CalledTask = Pick<
  TaskDefinition,
  | 'name'
  | 'subject'
  | 'taskKey'
  | 'givenVersion'
  | 'source'
  | 'transactionHooks'
  | 'hooks'
  | 'recordStart'
  | 'transactional'
  | keyof RunSettings
>;

/** A call that becomes a task run. */
export interface TaskCall {
  readonly task: CalledTask;
  readonly args: readonly unknown[];
  /**
   * @param run the task run this is an attempt of.
   * @param args those of the call; where it waited for them, what came.
   */
  readonly body: (run: LiveTaskRun, args: readonly unknown[]) => Promise<unknown>;
  readonly options: CallOptions | null;
  /** Whose methods its hooks may be; `null` for what has none. */
  readonly receiver: object | null;
}

/** A call on its way: what is called, by whom, and which record it has. */
export interface Execution extends Omit<TaskCall, 'args'> {
  readonly caller: RunScope | undefined;
  readonly engine: CallEngine;
  /** The attempt that called it. */
  readonly around: Attempt;
  readonly id: string;
  readonly dynamicKey: string;
  /** What is recorded of it, when it had begun in a process that is gone. */
  readonly known: UnfinishedCall | undefined;
  /** Once they have come, those that it waited for. */
  args: readonly unknown[];
  /** Its run, once it has begun. */
  live: LiveTaskRun | null;
  /** What the caller got; set as soon as it has it. */
  promise: Promise<unknown> | null;
}

/** A call that has ended, as far as the transaction around it is concerned. */
export type EndedCall = Pick<Execution, 'task' | 'args' | 'caller' | 'engine' | 'around' | 'receiver'>;

/** A call that has begun. */
export interface Begun {
  readonly execution: Execution;
  readonly live: LiveTaskRun;
  /** The attempt of the flow run it belongs to. */
  readonly flowAttempt: number;
}

export type UnfinishedCall = Extract<RecordedCall, { kind: 'unfinished' }>;
export type FinishedCall = Exclude<RecordedCall, { kind: 'unfinished' }>;

/** Where lines about a task run belong. */
export function logSourceOf({ created }: LiveTaskRun): LogSource {
  return { name: created.name, flowRunId: created.flowRunId, taskRunId: created.id };
}

/** Whether the result of a task is kept. */
export function persistsResult(task: CalledTask, caller: RunScope | undefined, byDefault: boolean): boolean {
  // What is committed with its record must never run again because its result is missing.
  return task.transactional !== null || (task.persistResult ?? caller?.place.persistResults ?? byDefault);
}

/** The same promise, which nobody has to await: Node ends a process in which nobody handles a rejection. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
