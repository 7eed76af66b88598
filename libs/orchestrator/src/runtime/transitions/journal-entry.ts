import type { FlowRun } from '@nestor/core';
import type { FlowRunMove, NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import type { NewRunValue } from '../../records/run-values/run-values.repository.js';
import type { NewState } from '../../records/stored-state.js';
import type { TaskRunWrite } from '../../records/task-runs/task-run-rows.js';
import type { RunLease } from '../leases/run-lease.js';

/**
 * What became of an entry: it is durable; or the run had been changed by somebody else; or the lease it was written under is
 * lost. In the latter cases nothing was written.
 */
export type EntryOutcome = 'written' | 'refused' | 'lease-lost';

/** A row without the number of its claim, which the batch gives it. */
type Unclaimed<Row extends { claim: number }> = Omit<Row, 'claim'>;

/** One transition, or one value that a run drew, on its way into the database. */
export type JournalEntry = {
  /** The lease under which it is written; `null` for what belongs to no run of this process. */
  readonly lease: RunLease | null;
} & (
  | {
      readonly kind: 'create-flow-run';
      readonly created: NewFlowRun;
      readonly run: FlowRun;
      readonly state: EntryState;
    }
  | { readonly kind: 'move-flow-run'; readonly move: Unclaimed<FlowRunMove>; readonly state: EntryState }
  | { readonly kind: 'save-task-run'; readonly write: Unclaimed<TaskRunWrite>; readonly state: EntryState }
  | { readonly kind: 'keep-value'; readonly value: Unclaimed<NewRunValue> }
);

export type EntryState = Unclaimed<NewState>;

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
  readonly states: EntryState[];
  readonly waiting: Waiting[];
}
