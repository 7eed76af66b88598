import type { FlowRun } from '@nestor/core';
import type { FlowRunMove, NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import type { NewState } from '../../records/stored-state.js';
import type { TaskRunWrite } from '../../records/task-runs/task-run-rows.js';
import type { JournalEntry, QueuedEntry } from './journal-entry.js';

/** A flush larger than this gains nothing: beyond some hundred rows the cost per row is flat. */
export const MAX_BATCH = 1_000;

/** Of parameters and outcomes together: far below the gigabyte that one message to PostgreSQL may have. */
const MAX_BATCH_CHARACTERS = 16_000_000;

/** The rows of one flush: every state, but each run's row only once, as it stands in the end. */
export interface JournalBatch {
  readonly createdFlowRuns: readonly { created: NewFlowRun; run: FlowRun }[];
  readonly createdStates: readonly NewState[];
  readonly moves: readonly FlowRunMove[];
  readonly moveStates: readonly NewState[];
  readonly taskRuns: readonly TaskRunWrite[];
  readonly taskStates: readonly NewState[];
}

/**
 * Folds entries, in their order, into the rows to write. Several moves of a flow run become one, compared with the state
 * the first of them was decided from: they hold together or not at all.
 */
export function foldEntries(entries: readonly QueuedEntry[]): JournalBatch {
  const createdFlowRuns: { created: NewFlowRun; run: FlowRun }[] = [];
  const createdStates: NewState[] = [];
  const moves = new Map<string, FlowRunMove>();
  const moveStates: NewState[] = [];
  const taskRuns = new Map<string, TaskRunWrite>();
  const taskStates: NewState[] = [];

  for (const { entry } of entries) {
    switch (entry.kind) {
      case 'create-flow-run':
        createdFlowRuns.push(entry);
        createdStates.push(entry.state);
        break;
      case 'move-flow-run': {
        const first = moves.get(entry.move.run.id) ?? entry.move;
        moves.set(entry.move.run.id, { ...entry.move, expectedStateId: first.expectedStateId });
        moveStates.push(entry.state);
        break;
      }
      case 'save-task-run':
        taskRuns.set(entry.write.created.id, entry.write);
        taskStates.push(entry.state);
        break;
    }
  }
  return {
    createdFlowRuns,
    createdStates,
    moves: [...moves.values()],
    moveStates,
    taskRuns: [...taskRuns.values()],
    taskStates,
  };
}

/** How many of the first entries go together: as many as are allowed, but of large outcomes fewer, and always one. */
export function batchSize(queue: readonly QueuedEntry[]): number {
  let characters = 0;
  for (const [index, { entry }] of queue.entries()) {
    if (index === MAX_BATCH) return index;
    characters += payloadOf(entry)?.length ?? 0;
    if (characters > MAX_BATCH_CHARACTERS && index > 0) return index;
  }
  return queue.length;
}

function payloadOf(entry: JournalEntry): string | null {
  switch (entry.kind) {
    case 'create-flow-run':
      return entry.created.parameters;
    case 'move-flow-run':
      return entry.move.result;
    case 'save-task-run':
      return entry.write.result;
  }
}
