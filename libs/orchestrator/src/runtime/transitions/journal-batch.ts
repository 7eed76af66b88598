import type { PauseAnswer } from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import { isTerminal, StateType, type TaskRun } from '@nestor/core';
import type { SlotRelease } from '../../records/concurrency-limits/run-slots.repository.js';
import type { FlowRunCreation, FlowRunMove } from '../../records/flow-runs/flow-run-rows.js';
import type { WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import type { NewOwedHooks } from '../../records/owed-hooks/owed-hooks.repository.js';
import type { NewRunValue } from '../../records/run-values/run-values.repository.js';
import type { NewState } from '../../records/stored-state.js';
import type { NewQueuedTask, QueueClaim, QueueMove } from '../../records/task-queue/task-queue-rows.js';
import { briefHistoryOf } from '../../records/task-runs/brief-history.js';
import type { TaskRunWrite } from '../../records/task-runs/task-run-rows.js';
import type { RunLease } from '../leases/run-lease.js';
import type { JournalEntry, QueuedEntry } from './journal-entry.js';

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
  readonly waitingRuns: readonly WaitingFlowRun[];
  readonly moves: readonly FlowRunMove[];
  readonly moveStates: readonly NewState[];
  readonly taskRuns: readonly TaskRunWrite[];
  readonly taskStates: readonly NewState[];
  readonly values: readonly NewRunValue[];
  readonly owedHooks: readonly NewOwedHooks[];
  /** They depend on moves of the batch. */
  readonly answers: readonly PauseAnswer[];
  /** Runs that are put into the queue. */
  readonly queued: readonly NewQueuedTask[];
  /** What becomes of the places of runs that were taken from there. */
  readonly queueMoves: readonly QueueMove[];
  /** Moves of the batch by which runs let go of their slots. */
  readonly slotReleases: readonly SlotRelease[];
  /** Moves that were decided from a state which another move of the batch leaves behind: they are not among the rows. */
  readonly outdated: ReadonlySet<QueuedEntry>;
}

/**
 * Folds entries, in their order, into the rows to write. Several moves of a flow run, each decided from the state that the
 * one before leads to, become one, compared with the state the first of them was decided from: they hold together or not
 * at all. Of moves that were decided from the same state, by two callers who did not know of each other, the first counts.
 */
export function foldEntries(entries: readonly QueuedEntry[]): JournalBatch {
  const claims = new ClaimNumbers();
  const createdFlowRuns: FlowRunCreation[] = [];
  const createdStates: NewState[] = [];
  const waitingRuns: WaitingFlowRun[] = [];
  const moves = new Map<string, FlowRunMove>();
  const moveStates: NewState[] = [];
  const tasks = new Map<string, FoldedTaskRun>();
  const values: NewRunValue[] = [];
  const owedHooks: NewOwedHooks[] = [];
  const answers: PauseAnswer[] = [];
  const slotReleases: SlotRelease[] = [];
  const queued: NewQueuedTask[] = [];
  const outdated = new Set<QueuedEntry>();

  for (const one of entries) {
    const { entry, states } = one;
    const claim = claims.numberOf(entry.lease);
    for (const state of states) state.claim = claim;
    if (entry.owed) owedHooks.push(entry.owed);
    switch (entry.kind) {
      case 'create-flow-run':
        entry.creation.claim = claim;
        createdFlowRuns.push(entry.creation);
        createdStates.push(...states);
        break;
      case 'create-waiting-run':
        waitingRuns.push(entry.waiting);
        break;
      case 'move-flow-run': {
        const { move } = entry;
        move.claim = claim;
        const before = moves.get(move.run.id);
        if (before && before.run.state?.id !== move.expectedStateId) {
          outdated.add(one);
          break;
        }
        moves.set(move.run.id, before ? { ...move, ...comparedWith(before) } : move);
        moveStates.push(...states);
        if (entry.answer) answers.push(entry.answer);
        if (entry.freesSlot) slotReleases.push({ runId: move.run.id, stateId: entry.state.state.id });
        break;
      }
      case 'save-task-run': {
        entry.write.claim = claim;
        const { id } = entry.write.created;
        const before = tasks.get(id);
        tasks.set(id, {
          write: entry.write,
          states: before ? [...before.states, ...states] : states,
          queue: entry.queue,
        });
        break;
      }
      case 'enqueue-task':
        queued.push(entry.task);
        break;
      case 'keep-value':
        entry.value.claim = claim;
        values.push(entry.value);
        break;
    }
  }
  return {
    claims: claims.all,
    createdFlowRuns,
    createdStates,
    waitingRuns,
    moves: [...moves.values()],
    moveStates,
    ...taskRows([...tasks.values()]),
    values,
    owedHooks,
    answers,
    slotReleases,
    queued,
    outdated,
  };
}

interface FoldedTaskRun {
  readonly write: TaskRunWrite;
  readonly states: readonly NewState[];
  readonly queue: QueueClaim | undefined;
}

/** The states of a run that succeeded at once are in its row. */
function taskRows(tasks: readonly FoldedTaskRun[]): Pick<JournalBatch, 'taskRuns' | 'taskStates' | 'queueMoves'> {
  const taskStates: NewState[] = [];
  const queueMoves: QueueMove[] = [];
  for (const { write, states, queue } of tasks) {
    write.brief = briefHistoryOf(write, states);
    if (!write.brief) taskStates.push(...states);
    const move = queueMoveOf(write.run, queue);
    if (move) queueMoves.push(move);
  }
  return { taskRuns: tasks.map(({ write }) => write), taskStates, queueMoves };
}

/** What becomes of the place of a run that was taken from the queue; `null` when nothing does, or it never was there. */
export function queueMoveOf(run: TaskRun, queue: QueueClaim | undefined): QueueMove | null {
  const to = queue ? placeAfter(run) : null;
  return queue && to !== null ? { taskRunId: run.id, epoch: queue.epoch, to } : null;
}

/** Where a run from the queue goes with its state; `null` while it is executed. */
function placeAfter({ state, nextScheduledStartTime }: TaskRun): QueueMove['to'] | null {
  if (!state) return null;
  if (state.type === StateType.Scheduled) return nextScheduledStartTime ?? state.timestamp;
  if (!isTerminal(state.type)) return null;
  return state.type === StateType.Failed || state.type === StateType.Crashed ? 'dead' : 'gone';
}

function comparedWith({ expectedStateId, expectedEpoch }: FlowRunMove): Partial<FlowRunMove> {
  return { expectedStateId, expectedEpoch };
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
      return entry.creation.created.parameters;
    case 'create-waiting-run':
      return entry.waiting.created.parameters;
    case 'move-flow-run':
      return entry.move.result;
    case 'save-task-run':
      return entry.write.result;
    case 'enqueue-task':
      return entry.task.parameters;
    case 'keep-value':
      return entry.value.value;
  }
}
