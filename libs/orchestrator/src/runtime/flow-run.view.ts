import type { Instant, OrchestratorError, State, StateType } from '@nestor/core';
import type { FlowRunEntity } from '../records/flow-runs/flow-run.entity.js';
import type { TaskRunEntity } from '../records/task-runs/task-run.entity.js';

/** A flow run as it can be looked up. Instants are microseconds since the epoch; `null` means "not yet". */
export interface FlowRunView {
  readonly id: string;
  readonly name: string;
  readonly flowId: string;
  readonly flowName: string;
  /** The task run that stands for this run in the flow that called it. */
  readonly parentTaskRunId: string | null;
  readonly stateType: StateType | null;
  readonly stateName: string | null;
  readonly tags: readonly string[];
  /** Attempts so far. */
  readonly runCount: number;
  readonly created: Instant;
  readonly expectedStartTime: Instant | null;
  readonly startTime: Instant | null;
  readonly endTime: Instant | null;
  /** Milliseconds in `RUNNING`, of the attempts that are over. */
  readonly totalRunTimeMs: number;
}

/** A task run as it can be looked up. */
export interface TaskRunView {
  readonly id: string;
  readonly name: string;
  readonly taskKey: string;
  /** What tells its call from other calls of the task in its run: place, inputs and occurrence. */
  readonly dynamicKey: string;
  readonly flowRunId: string | null;
  readonly parentTaskRunId: string | null;
  readonly stateType: StateType | null;
  readonly stateName: string | null;
  readonly runCount: number;
  readonly startTime: Instant | null;
  readonly endTime: Instant | null;
  readonly totalRunTimeMs: number;
}

/** A run with its states, oldest first. */
export interface FlowRunWithHistory extends FlowRunView {
  /** By name; `undefined` when they cannot be read, and `parametersError` says why. */
  readonly parameters: unknown;
  /** The same as JSON data, with tags where JSON has no word; `null` when they cannot be read. */
  readonly parametersJson: unknown;
  /** A codec, key, store or class is missing in this process, or what is kept was changed; the run itself can be looked at. */
  readonly parametersError: OrchestratorError | null;
  readonly states: readonly State[];
}

/** @internal */
export function flowRunView(row: FlowRunEntity, flowName: string): FlowRunView {
  return {
    id: row.id,
    name: row.name,
    flowId: row.flowId,
    flowName,
    parentTaskRunId: row.parentTaskRunId,
    stateType: row.stateType,
    stateName: row.stateName,
    tags: row.tags,
    runCount: row.runCount,
    created: row.created,
    expectedStartTime: row.expectedStartTime,
    startTime: row.startTime,
    endTime: row.endTime,
    totalRunTimeMs: row.totalRunTimeUs / 1_000,
  };
}

/** @internal */
export function taskRunView(row: TaskRunEntity): TaskRunView {
  return {
    id: row.id,
    name: row.name,
    taskKey: row.taskKey,
    dynamicKey: row.dynamicKey,
    flowRunId: row.flowRunId,
    parentTaskRunId: row.parentTaskRunId,
    stateType: row.stateType,
    stateName: row.stateName,
    runCount: row.runCount,
    startTime: row.startTime,
    endTime: row.endTime,
    totalRunTimeMs: row.totalRunTimeUs / 1_000,
  };
}
