import { Injectable } from '@nestjs/common';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import type { HandedClaim } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { RunSlotsRepository } from '../../records/concurrency-limits/run-slots.repository.js';
import { FlowRunInputsRepository } from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { mayBeTakenAtOnce, type WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { WaitingFlowRunsRepository } from '../../records/flow-runs/waiting-flow-runs.repository.js';
import type { HeldClaims, WriteFence } from '../../records/lease-check.js';
import { OwedHooksRepository } from '../../records/owed-hooks/owed-hooks.repository.js';
import { RunValuesRepository } from '../../records/run-values/run-values.repository.js';
import { TaskQueueRepository } from '../../records/task-queue/task-queue.repository.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { Notifier, type Topic } from '../notifications/notifier.service.js';
import type { JournalBatch } from './journal-batch.js';

/** What a flush wrote: of which claims, which flow runs moved, and which task runs and waiting flow runs are there. */
interface Written {
  readonly held: HeldClaims;
  readonly moved: ReadonlySet<string>;
  readonly enqueued: ReadonlySet<string>;
  readonly created: ReadonlySet<string>;
  /** Who got slots that runs let go of. */
  readonly handed: readonly HandedClaim[];
}

/** Writes what the journal has collected: one statement per table. */
@Injectable()
export class BatchWriter {
  constructor(
    private readonly transactions: Transactions,
    private readonly flowRuns: FlowRunsRepository,
    private readonly waitingRuns: WaitingFlowRunsRepository,
    private readonly taskRuns: TaskRunsRepository,
    private readonly values: RunValuesRepository,
    private readonly owedHooks: OwedHooksRepository,
    private readonly inputs: FlowRunInputsRepository,
    private readonly taskQueue: TaskQueueRepository,
    private readonly runSlots: RunSlotsRepository,
    private readonly notifier: Notifier,
  ) {}

  /** Writes all of a batch, in one transaction where that takes more than one statement. */
  async write(batch: JournalBatch, processId: string): Promise<Written> {
    const fence: WriteFence = { processId, claims: batch.claims };
    const statements: ((tx: Tx) => Promise<Partial<Written>>)[] = [];
    if (batch.createdFlowRuns.length > 0) {
      statements.push(async (tx) => ({
        held: await this.flowRuns.insert(tx, fence, batch.createdFlowRuns, batch.createdStates),
      }));
    }
    if (batch.waitingRuns.length > 0) {
      statements.push(async (tx) => ({ created: await this.waitingRuns.create(tx, batch.waitingRuns) }));
    }
    if (batch.values.length > 0) {
      statements.push(async (tx) => ({ held: await this.values.keep(tx, fence, batch.values) }));
    }
    if (batch.queued.length > 0) {
      statements.push(async (tx) => ({ enqueued: await this.taskQueue.enqueue(tx, batch.queued) }));
    }
    if (batch.taskRuns.length > 0) {
      const isAlone =
        statements.length === 0 &&
        batch.moves.length === 0 &&
        batch.owedHooks.length === 0 &&
        batch.queueMoves.length === 0;
      statements.push(async (tx) => ({
        held: await this.taskRuns.save(tx, fence, batch.taskRuns, batch.taskStates, { isAlone }),
      }));
    }
    if (batch.queueMoves.length > 0) {
      // The states of these runs are in the same transaction, whose first look at the row of the process holds for both.
      statements.push(afterwards((tx) => this.taskQueue.move(tx, processId, batch.queueMoves)));
    }
    // Last: a move may give the lease up under which the rest is written.
    if (batch.moves.length > 0) {
      statements.push((tx) => this.flowRuns.move(tx, fence, batch.moves, batch.moveStates));
    }
    // After the states that owe them: what was not written owes nothing.
    if (batch.owedHooks.length > 0) statements.push(afterwards((tx) => this.owedHooks.note(tx, batch.owedHooks)));
    // Of moves that were made: it looks at their states.
    if (batch.answers.length > 0) statements.push(afterwards((tx) => this.inputs.answer(tx, batch.answers)));

    // Likewise; and after all other rows, because the rows of limits are locked last.
    if (batch.slotReleases.length > 0) {
      statements.push(async (tx) => ({ handed: await this.runSlots.release(tx, batch.slotReleases) }));
    }

    const only = statements.length === 1 ? statements[0] : undefined;
    const hint = batch.waitingRuns.length > 0 ? this.notifier.hintOf(topicOfWaiting(batch.waitingRuns)) : null;
    const written = only
      ? [await this.transactions.single(only, hint)]
      : await this.transactions.together(statements, hint);
    const held = written.flatMap((one) => (one.held === undefined ? [] : [one.held]));
    return {
      // A claim that one statement finds lost is lost, although a lease may be lost between two statements. What is put into
      // a queue needs no lease.
      held: held.length > 0 ? held.reduce(bothHeld) : batch.claims.map(() => true),
      moved: written.find(({ moved }) => moved)?.moved ?? NONE,
      enqueued: written.find(({ enqueued }) => enqueued)?.enqueued ?? NONE,
      created: written.find(({ created }) => created)?.created ?? NONE,
      handed: written.find(({ handed }) => handed)?.handed ?? [],
    };
  }
}

/** What looks by itself at what was written before it. */
function afterwards(work: (tx: Tx) => Promise<unknown>): (tx: Tx) => Promise<Partial<Written>> {
  return async (tx) => {
    await work(tx);
    return {};
  };
}

const NONE: ReadonlySet<string> = new Set();

/** What is told of runs that were created: of one that anybody may take at once, which it is. */
function topicOfWaiting([first, second]: readonly WaitingFlowRun[]): Topic {
  return first && !second && mayBeTakenAtOnce(first) ? `due:${first.created.id}` : 'due';
}

function bothHeld(one: HeldClaims, other: HeldClaims): HeldClaims {
  return one && other && one.map((held, index) => held && other[index] === true);
}
