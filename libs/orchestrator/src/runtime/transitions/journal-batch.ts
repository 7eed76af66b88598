import type { FlowRunCreation, FlowRunMove } from '../../records/flow-runs/flow-run-rows.js';
import type { NewRunValue } from '../../records/run-values/run-values.repository.js';
import type { NewState } from '../../records/stored-state.js';
import type { TaskRunWrite } from '../../records/task-runs/task-run-rows.js';
import type { RunLease } from '../leases/run-lease.js';
import type { EntryState, JournalEntry, QueuedEntry } from './journal-entry.js';

/** A flush larger than this gains nothing: beyond some hundred rows the cost per row is flat. */
export const MAX_BATCH = 1_000;

/** Of parameters and outcomes together: far below the gigabyte that one message to PostgreSQL may have. */
const MAX_BATCH_CHARACTERS = 16_000_000;

/** The rows of one flush: every state, but each run's row only once, as it stands in the end. */
export interface JournalBatch {
  /** The leases that rows refer to by their number, which counts from 1. */
  readonly claims: readonly (RunLease | null)[];
  readonly createdFlowRuns: readonly FlowRunCreation[];
  readonly createdStates: readonly NewState[];
  readonly moves: readonly FlowRunMove[];
  readonly moveStates: readonly NewState[];
  readonly taskRuns: readonly TaskRunWrite[];
  readonly taskStates: readonly NewState[];
  readonly values: readonly NewRunValue[];
}

/**
 * Folds entries, in their order, into the rows to write. Several moves of a flow run become one, compared with the state
 * the first of them was decided from: they hold together or not at all.
 */
export function foldEntries(entries: readonly QueuedEntry[]): JournalBatch {
  const claims = new ClaimNumbers();
  const createdFlowRuns: FlowRunCreation[] = [];
  const createdStates: NewState[] = [];
  const moves = new Map<string, FlowRunMove>();
  const moveStates: NewState[] = [];
  const taskRuns = new Map<string, TaskRunWrite>();
  const taskStates: NewState[] = [];
  const values: NewRunValue[] = [];

  for (const { entry, states } of entries) {
    const claim = claims.numberOf(entry.lease);
    switch (entry.kind) {
      case 'create-flow-run':
        createdFlowRuns.push({ created: entry.created, run: entry.run, claim });
        pushClaimed(createdStates, states, claim);
        break;
      case 'move-flow-run': {
        const { run, result, lease, expectedStateId } = entry.move;
        const first = moves.get(run.id);
        moves.set(run.id, {
          run,
          result,
          lease,
          claim,
          expectedStateId: first ? first.expectedStateId : expectedStateId,
        });
        pushClaimed(moveStates, states, claim);
        break;
      }
      case 'save-task-run': {
        const { created, run, result } = entry.write;
        taskRuns.set(created.id, { created, run, result, claim });
        pushClaimed(taskStates, states, claim);
        break;
      }
      case 'keep-value': {
        const { flowRunId, key, value } = entry.value;
        values.push({ flowRunId, key, value, claim });
        break;
      }
    }
  }
  return {
    claims: claims.all,
    createdFlowRuns,
    createdStates,
    moves: [...moves.values()],
    moveStates,
    taskRuns: [...taskRuns.values()],
    taskStates,
    values,
  };
}

function pushClaimed(target: NewState[], states: readonly EntryState[], claim: number): void {
  for (const { runId, state, follows } of states) target.push({ runId, state, follows, claim });
}

class ClaimNumbers {
  readonly all: (RunLease | null)[] = [];
  private readonly numbers = new Map<RunLease | null, number>();

  numberOf(lease: RunLease | null): number {
    let number = this.numbers.get(lease);
    if (number === undefined) {
      number = this.all.push(lease);
      this.numbers.set(lease, number);
    }
    return number;
  }
}

/**
 * How many of the first entries go together: as many as are allowed, but of large outcomes fewer, and always one. Two moves of
 * a flow run that were decided from the same state do not: the second one has to be compared with what the first one made.
 */
export function batchSize(queue: readonly QueuedEntry[]): number {
  let characters = 0;
  const moves = new Map<string, Extract<JournalEntry, { kind: 'move-flow-run' }>>();
  for (const [index, { entry }] of queue.entries()) {
    if (index === MAX_BATCH) return index;
    characters += payloadOf(entry)?.length ?? 0;
    if (characters > MAX_BATCH_CHARACTERS && index > 0) return index;
    if (entry.kind !== 'move-flow-run') continue;
    const { run, expectedStateId } = entry.move;
    const before = moves.get(run.id);
    if (before && (before.lease !== entry.lease || before.move.run.state?.id !== expectedStateId)) return index;
    moves.set(run.id, entry);
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
    case 'keep-value':
      return entry.value.value;
  }
}
