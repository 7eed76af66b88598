import type { FlowRun, State } from '@nestor/core';
import { idOfName } from '../../persistence/ids.js';
import { RowSet, type RowColumn } from '../row-set.js';
import { storedPolicy, storedTags } from '../stored-run.js';
import { instantParameter, storedDetails } from '../stored-state.js';
import type { NewFlowRun } from './flow-run-rows.js';

/** Who or what made a run, as it is shown to people and to clients of the API. */
export interface RunCreator {
  readonly id: string;
  readonly type: string;
  readonly display_value: string;
}

/** What a run is a run of besides its flow, where it waits, and who wanted it. */
export interface RunOrigin {
  /** A second run of the flow with this key is not created: whoever asks for it gets the first. */
  readonly idempotencyKey: string | null;
  readonly deploymentId: string | null;
  readonly deploymentVersion: string | null;
  /** `null`: any process of the application that has the flow may take it. */
  readonly workQueueId: string | null;
  readonly workQueueName: string | null;
  /** Of the runs that are due, the lowest goes first; from -32768 to 32767. */
  readonly priority: number;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly createdBy: RunCreator | null;
  readonly jobVariables: Readonly<Record<string, unknown>> | null;
  /** A schedule made it, and whoever changes that may delete it. */
  readonly autoScheduled: boolean;
  /** The schedule of which it is a run. */
  readonly scheduleId: string | null;
  /** Nobody claims it until it has been given its turn among the runs of its schedule. */
  readonly awaitsTurn: boolean;
  /** Where runs with its key wait for their turns, and how many it gets; `null`: it waits for none. */
  readonly fairShare: FairShare | null;
}

/** The share of a key. */
export interface FairShare {
  readonly key: string;
  readonly weight: number;
}

/** A flow run that is created to wait: for its time, or for whoever takes it. */
export interface WaitingFlowRun {
  readonly created: NewFlowRun;
  /** In its first state. */
  readonly run: FlowRun & { readonly state: State };
  readonly origin: RunOrigin;
}

/** Whether anybody who has its flow may take it as soon as it is there: it waits for no time, in no queue, for no turn. */
export function mayBeTakenAtOnce({ run: { state }, origin }: WaitingFlowRun): boolean {
  const { scheduledTime } = state.details;
  const isDue = scheduledTime === undefined || scheduledTime <= state.timestamp;
  return isDue && origin.workQueueId === null && origin.fairShare === null && !origin.awaitsTurn;
}

const runColumns: readonly RowColumn<WaitingFlowRun>[] = [
  ['id', 'uuid', ({ created }) => created.id],
  ['flow_id', 'uuid', ({ created }) => created.flowId],
  ['app', 'text', ({ created }) => created.app],
  ['root_flow_run_id', 'uuid', ({ created }) => created.rootFlowRunId],
  ['name', 'text', ({ created }) => created.name],
  ['flow_version', 'text', ({ created }) => created.flowVersion],
  ['build_id', 'text', ({ created }) => created.buildId],
  ['encoding_version', 'smallint', ({ created }) => created.encodingVersion],
  ['parameters', 'json', ({ created }) => created.parameters],
  ['tags', 'jsonb', ({ created }) => storedTags(created.tags)],
  ['empirical_policy', 'jsonb', ({ run }) => storedPolicy(run.policy)],
  ['idempotency_key', 'text', ({ origin }) => origin.idempotencyKey],
  ['deployment_id', 'uuid', ({ origin }) => origin.deploymentId],
  ['deployment_version', 'text', ({ origin }) => origin.deploymentVersion],
  ['work_queue_id', 'uuid', ({ origin }) => origin.workQueueId],
  ['work_queue_name', 'text', ({ origin }) => origin.workQueueName],
  ['priority', 'smallint', ({ origin }) => origin.priority],
  ['labels', 'jsonb', ({ origin }) => JSON.stringify(origin.labels)],
  ['created_by', 'jsonb', ({ origin }) => origin.createdBy && JSON.stringify(origin.createdBy)],
  ['job_variables', 'jsonb', ({ origin }) => origin.jobVariables && JSON.stringify(origin.jobVariables)],
  ['auto_scheduled', 'boolean', ({ origin }) => origin.autoScheduled],
  ['schedule_id', 'uuid', ({ origin }) => origin.scheduleId],
  ['awaits_turn', 'boolean', ({ origin }) => origin.awaitsTurn],
  ['state_id', 'uuid', ({ run }) => run.state.id],
  ['state_type', 'text', ({ run }) => run.state.type],
  ['state_name', 'text', ({ run }) => run.state.name],
  ['state_timestamp', 'timestamptz', ({ run }) => instantParameter(run.state.timestamp)],
  ['expected_start_time', 'timestamptz', ({ run }) => instantParameter(run.expectedStartTime)],
  ['next_scheduled_start_time', 'timestamptz', ({ run }) => instantParameter(run.nextScheduledStartTime)],
];

/** What runs with keys have besides. */
const keyedColumns: readonly RowColumn<WaitingFlowRun>[] = [
  ...runColumns,
  ['fairness_key', 'text', ({ origin }) => origin.fairShare?.key ?? null],
  ['fairness_weight', 'double precision', ({ origin }) => origin.fairShare?.weight ?? null],
  ['fair_line_id', 'uuid', lineOf],
];

const stateColumns: readonly RowColumn<WaitingFlowRun>[] = [
  ['state_message', 'text', ({ run }) => run.state.message],
  ['state_details', 'jsonb', ({ run }) => storedDetails(run.state.details)],
];

/** Runs on their way into the database, each with its first state; and which of that table `flow_run` takes. */
export interface WaitingRows {
  readonly rows: RowSet<WaitingFlowRun>;
  readonly runColumns: string;
}

/** Runs of which none has a key: those have fewer columns. */
export const plainRows: WaitingRows = {
  rows: new RowSet([...runColumns, ...stateColumns]),
  runColumns: new RowSet(runColumns).names,
};

/** Runs of which some have a key. */
export const keyedRows: WaitingRows = {
  rows: new RowSet([...keyedColumns, ...stateColumns]),
  runColumns: new RowSet(keyedColumns).names,
};

/** The line in which a run waits: that of its key among the runs of its deployment, else of its flow, in its place. */
function lineOf({ created, origin }: WaitingFlowRun): string | null {
  const { fairShare, workQueueId, priority, deploymentId } = origin;
  return fairShare
    ? idOfName([created.app, workQueueId ?? '', priority, deploymentId ?? created.flowId, fairShare.key].join('\0'))
    : null;
}
