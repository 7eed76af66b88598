import type { FlowRun, RetryPolicy, TaskRun } from '@nestor/core';
import type { NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import type { QueueClaim } from '../../records/task-queue/task-queue-rows.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import type { HookedTask } from '../hooks/hook-call.js';
import type { RunLease } from '../leases/run-lease.js';

/** A flow run that this process executes: its rules are decided from memory. */
export interface LiveFlowRun {
  readonly created: NewFlowRun;
  /** The run as of its latest decision; ahead of the database by what the journal has not written yet. */
  image: FlowRun;
  /** Refused moves are decided again one after another, in the order in which they were proposed. */
  settling: Promise<unknown>;
  /** The lease of its root run. */
  readonly lease: RunLease;
  /** The instance it is executed on, once it has begun; of a flow that has hooks. */
  receiver?: object;
}

/** A task run that this process executes. */
export interface LiveTaskRun {
  readonly created: NewTaskRun;
  image: TaskRun;
  /** The lease of the root run it is part of; outside flows that of the process. */
  readonly lease: RunLease | null;
  /** Of a task that has hooks. */
  hooked?: HookedTask;
  /** By which right it is executed, when it was taken from the queue. */
  readonly queue?: QueueClaim;
}

/** A task run before its first state; nothing is written yet. */
export function newTaskRun(
  created: NewTaskRun,
  policy: RetryPolicy,
  /** The attempt of the flow run that the task belongs to. */
  flowRunRunCount: number,
  lease: RunLease | null,
): LiveTaskRun {
  const image: TaskRun = {
    kind: 'task-run',
    id: created.id,
    flowRunId: created.flowRunId,
    flowRunRunCount,
    policy,
    state: null,
    runCount: 0,
    expectedStartTime: null,
    nextScheduledStartTime: null,
    startTime: null,
    endTime: null,
    totalRunTimeUs: 0,
  };
  return { created, image, lease };
}

/** Whether a flow run is at the top of its tree, and therefore the one that is leased. */
export function isRoot({ created }: Pick<LiveFlowRun, 'created'>): boolean {
  return created.rootFlowRunId === created.id;
}
