import type { FlowRun } from '@nestor/core';
import type { FlowRunMove, NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import type { NewState } from '../../records/stored-state.js';
import type { TaskRunWrite } from '../../records/task-runs/task-run-rows.js';

/** What became of an entry: it is durable, or the run had been changed by somebody else and nothing was written. */
export type EntryOutcome = 'written' | 'refused';

/** One transition on its way into the database. */
export type JournalEntry =
  | { readonly kind: 'create-flow-run'; readonly created: NewFlowRun; readonly run: FlowRun; readonly state: NewState }
  | { readonly kind: 'move-flow-run'; readonly move: FlowRunMove; readonly state: NewState }
  | { readonly kind: 'save-task-run'; readonly write: TaskRunWrite; readonly state: NewState };

/** An entry and who waits for it; nobody does for a state that rides along. */
export interface QueuedEntry {
  readonly entry: JournalEntry;
  readonly settle: ((outcome: EntryOutcome) => void) | null;
  readonly fail: (error: unknown) => void;
}
