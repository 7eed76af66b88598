import { derivedId } from '../../../persistence/ids.js';
import type { FlowDefinition } from '../../registry/definitions.js';
import type { ReplayReason } from '../../replay/replays.service.js';
import type { LiveFlowRun, LiveTaskRun } from '../../transitions/live-run.js';
import type { PauseGate } from '../pause-gate.js';
import type { LogSource } from '../run-logs.js';
import { currentScope, type RunScope } from '../run-scope.js';

/** Where a subflow is called, and the task run that stands for it there. */
export interface SubflowCall {
  readonly caller: RunScope;
  readonly trackingTask: LiveTaskRun;
}

/** A flow run on its way: what to run it with. */
export interface FlowExecution {
  readonly live: LiveFlowRun;
  readonly definition: FlowDefinition;
  readonly receiver: object;
  /** Why it begins again; `null` for a run that has just been created. */
  readonly reason: ReplayReason | null;
  /**
   * Whether it is as it was a moment ago, when this process created or claimed it. Otherwise somebody
   * may have ended it since.
   */
  readonly isFresh: boolean;
  /** The gate of the run that called it. */
  readonly outerGate: PauseGate | null;
}

/** The same for the same call of the same attempt, of flow or task, so that resuming the caller finds the run again. */
export function subflowId({ caller, trackingTask }: SubflowCall): string {
  const { taskKey, dynamicKey, flowRunId, id } = trackingTask.created;
  const call = [caller.place.taskRun?.created.id ?? '', caller.attempt.number, taskKey, dynamicKey];
  return derivedId(flowRunId ?? id, call.join('\0'));
}

/** Whether the result of a flow that is called here is kept, and those of its tasks that say nothing about it. */
export function persistsResult({ persistResult }: FlowDefinition, byDefault: boolean): boolean {
  return persistResult ?? currentScope()?.place.persistResults ?? byDefault;
}

/** Where lines about a flow run belong. */
export function logSourceOf({ created }: Pick<LiveFlowRun, 'created'>): LogSource {
  return { name: created.name, flowRunId: created.id, taskRunId: null };
}
