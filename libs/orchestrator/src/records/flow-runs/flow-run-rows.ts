import type { FlowRun, FlowRunPolicy } from '@nestor/core';
import { stateOfRow } from '../state-columns.js';
import type { FlowRunStateEntity } from './flow-run-state.entity.js';
import type { FlowRunEntity } from './flow-run.entity.js';

/** What never changes about a flow run, as it is created. */
export interface NewFlowRun {
  readonly id: string;
  readonly flowId: string;
  readonly app: string;
  readonly rootFlowRunId: string;
  readonly parentTaskRunId: string | null;
  readonly name: string;
  /** Encoded. */
  readonly parameters: string;
  readonly tags: readonly string[];
  readonly buildId: string | null;
  readonly encodingVersion: number;
}

/** A move of an existing flow run, compared and set on the state it was decided from. */
export interface FlowRunMove {
  readonly run: FlowRun;
  /** The id of the state the move was decided from. */
  readonly expectedStateId: string | null;
  /** The encoded outcome; `null` while there is none. */
  readonly result: string | null;
}

/** The run as the rules see it, from its row and the row of its current state. */
export function flowRunOfRow(row: FlowRunEntity, state: FlowRunStateEntity | null): FlowRun {
  return {
    kind: 'flow-run',
    id: row.id,
    parentTaskRunId: row.parentTaskRunId,
    state: state && stateOfRow(state),
    runCount: row.runCount,
    expectedStartTime: row.expectedStartTime,
    nextScheduledStartTime: row.nextScheduledStartTime,
    startTime: row.startTime,
    endTime: row.endTime,
    totalRunTimeUs: row.totalRunTimeUs,
    policy: { ...NO_RETRIES, ...row.empiricalPolicy },
  };
}

const NO_RETRIES: FlowRunPolicy = { retries: 0, retryDelaysMs: [], resuming: false, pauseKeys: [], retryType: null };
