import type { PauseAnswer } from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import type { FlowRunCreation, FlowRunMove } from '../../records/flow-runs/flow-run-rows.js';
import type { WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import type { NewOwedHooks } from '../../records/owed-hooks/owed-hooks.repository.js';
import type { NewRunValue } from '../../records/run-values/run-values.repository.js';
import type { NewState } from '../../records/stored-state.js';
import type { NewQueuedTask, QueueClaim } from '../../records/task-queue/task-queue-rows.js';
import type { TaskRunWrite } from '../../records/task-runs/task-run-rows.js';
import type { RunLease } from '../leases/run-lease.js';

/**
 * What became of an entry: it is durable; or the run had been changed by somebody else; or the lease it was written under is
 * lost. In the latter cases nothing was written.
 */
export type EntryOutcome = 'written' | 'refused' | 'lease-lost';

/**
 * One transition, or one value that a run drew, on its way into the database: the rows as they are written, but for the number
 * of their claim, which the batch gives them.
 */
export type JournalEntry = {
  /** The lease under which it is written; `null` for what belongs to no run of this process. */
  readonly lease: RunLease | null;
  /** What the state owes, to be noted with it. */
  readonly owed?: NewOwedHooks | undefined;
} & (
  | { readonly kind: 'create-flow-run'; readonly creation: FlowRunCreation; readonly state: NewState }
  | { readonly kind: 'create-waiting-run'; readonly waiting: WaitingFlowRun }
  | {
      readonly kind: 'move-flow-run';
      readonly move: FlowRunMove;
      readonly state: NewState;
      /** What the run is told by it. */
      readonly answer?: PauseAnswer;
      /** Whether the run lets go of its slot by it. */
      readonly freesSlot?: boolean;
    }
  | {
      readonly kind: 'save-task-run';
      readonly write: TaskRunWrite;
      readonly state: NewState;
      /** By which right a run from the queue is executed; absent for a run that never was there. */
      readonly queue?: QueueClaim | undefined;
    }
  | { readonly kind: 'enqueue-task'; readonly task: NewQueuedTask }
  | { readonly kind: 'keep-value'; readonly value: NewRunValue }
);

/** The move of a flow run on its way. */
export type MoveEntry = Extract<JournalEntry, { kind: 'move-flow-run' }>;

/** Who waits for an entry to be durable. */
export interface Waiting {
  readonly settle: (outcome: EntryOutcome) => void;
  readonly fail: (error: unknown) => void;
}

/** An entry on its way, and who waits for it: nobody does for a state that rides along. */
export interface QueuedEntry {
  /** Of a task run that went on while it was queued, the latest. */
  entry: JournalEntry;
  /** What is appended to the history of its run. */
  readonly states: NewState[];
  readonly waiting: Waiting[];
}
