import type { FlowRun, FlowRunPolicy } from '@nestor/core';
import { stateOfRow, type StoredState } from '../state-columns.js';
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
  readonly flowVersion: string | null;
  readonly buildId: string | null;
  /** The build that alone may go on with it; left out where any may. */
  readonly pinnedBuildId?: string;
  readonly encodingVersion: number;
  /** Whether the process that creates the run holds its lease, as it does of the root runs it executes. */
  readonly isLeased: boolean;
}

/** A flow run in its first state, created on behalf of a claim. */
export interface FlowRunCreation {
  readonly created: NewFlowRun;
  readonly run: FlowRun;
  /** The number of the claim: see `WriteFence`. */
  claim: number;
}

/** A move of an existing flow run, compared and set on the state it was decided from. */
export interface FlowRunMove {
  readonly run: FlowRun;
  /** The id of the state the move was decided from. */
  readonly expectedStateId: string | null;
  /** The epoch its row had then, where that is no matter of the claim: who executes the run, if anybody, may depend on it. */
  readonly expectedEpoch: number | null;
  /** The encoded outcome; `null` while there is none. */
  readonly result: string | null;
  /** The number of the claim on whose behalf it is written: see `WriteFence`. */
  claim: number;
  readonly lease: LeaseChange;
}

/**
 * What a move does to the lease of its run: `released` by its holder, who may still append to what it has begun; `revoked`,
 * so that the holder can write nothing more; or `taken` from it by the process that moves the run.
 */
export type LeaseChange = 'kept' | 'released' | 'revoked' | 'taken';

/** What of the row of a run says what the rules see of it. */
export type FlowRunRow = Pick<
  FlowRunEntity,
  | 'id'
  | 'parentTaskRunId'
  | 'deploymentId'
  | 'infrastructurePid'
  | 'runCount'
  | 'expectedStartTime'
  | 'nextScheduledStartTime'
  | 'startTime'
  | 'endTime'
  | 'totalRunTimeUs'
  | 'empiricalPolicy'
>;

/** What of the row of a run never changes. */
export type NewFlowRunRow = Pick<FlowRunEntity, Exclude<keyof NewFlowRun, 'isLeased' | 'pinnedBuildId'>>;

/** The run as the rules see it, from its row and the row of its current state. */
export function flowRunOfRow(row: FlowRunRow, state: StoredState | null): FlowRun {
  return {
    kind: 'flow-run',
    id: row.id,
    parentTaskRunId: row.parentTaskRunId,
    deploymentId: row.deploymentId,
    infrastructurePid: row.infrastructurePid,
    state: state && stateOfRow(state),
    runCount: row.runCount,
    expectedStartTime: row.expectedStartTime,
    nextScheduledStartTime: row.nextScheduledStartTime,
    startTime: row.startTime,
    endTime: row.endTime,
    totalRunTimeUs: row.totalRunTimeUs,
    policy: { ...DEFAULT_POLICY, ...row.empiricalPolicy },
  };
}

/** What the row of a run says about what never changes. */
export function newFlowRunOfRow(row: NewFlowRunRow): NewFlowRun {
  const { id, flowId, app, rootFlowRunId, parentTaskRunId, name, parameters, tags } = row;
  const { flowVersion, buildId, encodingVersion } = row;
  return {
    ...{ id, flowId, app, rootFlowRunId, parentTaskRunId, name, parameters, tags },
    ...{ flowVersion, buildId, encodingVersion },
    isLeased: rootFlowRunId === id,
  };
}

const DEFAULT_POLICY: FlowRunPolicy = {
  retries: 0,
  retryDelaysMs: [],
  resuming: false,
  pauseKeys: [],
  retryType: null,
  recoveries: 0,
  maxRecoveries: 10,
};
