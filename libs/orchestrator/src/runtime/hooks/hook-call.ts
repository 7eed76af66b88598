import type { State } from '@nestor/core';
import type { LogSource } from '../engine/run-logs.js';
import type { FlowDefinition, TaskDefinition } from '../registry/definitions.js';
import type { HookedRun } from './hook-context.js';

/** What of a flow or task its hooks are called by. */
export type HookedDefinition = Pick<FlowDefinition | TaskDefinition, 'name' | 'hooks'>;

/** What the hooks of a task run are called by, while it is executed here. */
export interface HookedTask {
  readonly definition: HookedDefinition;
  /** `null` when it has no methods that could be hooks. */
  readonly receiver: object | null;
  /** Encoded; `null` when they could not be kept. */
  readonly args: string | null;
}

/** A run that has entered a state whose hooks are to be called. */
export interface HookCall {
  readonly definition: HookedDefinition;
  /** Gives the instance whose methods are called, when one is: that which the run is executed on, if it is executed here. */
  readonly receiver: () => object | Promise<object>;
  readonly run: HookedRun;
  readonly state: State;
  /** The parameters of a flow run, the arguments of a task run, as they are kept; `null` when they are not. */
  readonly args: string | null;
  /** What the row of the run holds. */
  readonly outcome: string | null;
}

/** What is told of a run wherever it is known from. */
interface KnownRun {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
}

export function hookedFlowRun(
  { id, name, tags }: KnownRun,
  attempt: number,
  { name: flowName }: HookedDefinition,
): HookedRun {
  return { kind: 'flow-run', id, name, tags, attempt, flowRunId: id, taskRunId: null, flowName };
}

export function hookedTaskRun(
  { id, name, tags, flowRunId }: KnownRun & { readonly flowRunId: string | null },
  attempt: number,
  { name: taskName }: HookedDefinition,
): HookedRun {
  return { kind: 'task-run', id, name, tags, attempt, flowRunId, taskRunId: id, taskName };
}

/** Where lines about the run go. */
export function logSourceOf({ name, flowRunId, taskRunId }: HookedRun): LogSource {
  return { name, flowRunId, taskRunId };
}
