import { cancelled, type ProposedState } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunsRepository, type LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { TaskRunsRepository, type LoadedTaskRun } from '../../records/task-runs/task-runs.repository.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import type { RunLease } from '../leases/run-lease.js';
import { DatabaseClock } from './database-clock.js';
import { decidedTaskRun, saveEntry } from './decided.js';
import { Journal } from './journal.js';
import { StoredRuns } from './stored-runs.service.js';

/** How many runs are read, and ended, at a time: a flush of the journal holds as many. */
const PAGE = 500;
/** How many flow runs are looked into with one statement. */
const FLOW_RUNS = 1_000;

/**
 * Ends what is left within runs that ended without it, however much that is: subflow runs of any depth, and task runs of any
 * of them. Some statements per {@link PAGE} of them, whatever their number. Background tasks and flow runs that a run put
 * into a queue belong to nobody but themselves, and stay.
 */
@Injectable()
export class RunClosing {
  constructor(
    private readonly storedRuns: StoredRuns,
    private readonly journal: Journal,
    private readonly clock: DatabaseClock,
    private readonly flowRuns: FlowRunsRepository,
    private readonly taskRuns: TaskRunsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
  ) {}

  /**
   * Ends what is left within flow runs that were ended from here. Nobody executes it any more.
   *
   * Until this is done the process holds the leases of those that are root runs: if it dies before that, they are found
   * among the ended runs of dead processes, and closed by somebody else.
   */
  async closeWithin(flowRunIds: readonly string[]): Promise<void> {
    if (flowRunIds.length === 0) return;
    const { processId, ownLease } = this.process;
    const state = cancelled({ message: 'The flow run it was part of has ended without it.' });
    const within = await this.journal.patiently(() => this.flowRuns.within(flowRunIds));
    const ended = new Set(flowRunIds);
    const subflowIds = within.filter((id) => !ended.has(id));
    for (const ids of chunks(subflowIds)) {
      await eachPage(
        (after) => this.journal.patiently(() => this.flowRuns.openAmong(ids, PAGE, after)),
        ({ row }) => row.id,
        (page) => this.closeFlowRuns(page, state),
      );
    }
    for (const ids of chunks(within)) await this.closeTasksOf(ids, state, ownLease);
    await this.journal.patiently(() =>
      this.transactions.single((tx) => this.flowRuns.releaseEnded(tx, flowRunIds, processId)),
    );
  }

  /** Ends task runs outside any flow run that this process has taken over under that lease. */
  async endAdopted(taskRunIds: readonly string[], state: ProposedState, lease: RunLease): Promise<void> {
    const tasks = await this.journal.patiently(() => this.taskRuns.load(taskRunIds));
    await Promise.all(tasks.map((task) => this.closeTaskRun(task, state, lease)));
  }

  /**
   * Ends what is left below task runs of a run that this process executes: the subflow runs they stood for, which nobody enters
   * any more, and everything within those.
   */
  async closeBelow(taskRunIds: readonly string[], state: ProposedState, lease: RunLease): Promise<void> {
    const subflows = await this.journal.patiently(() => this.flowRuns.openBelow(taskRunIds));
    if (subflows.length === 0) return;
    const within = await this.journal.patiently(() => this.flowRuns.within(subflows));
    for (const ids of chunks(within)) {
      await eachPage(
        (after) => this.journal.patiently(() => this.flowRuns.openAmong(ids, PAGE, after)),
        ({ row }) => row.id,
        (page) => Promise.all(page.map(({ row }) => this.storedRuns.propose(row.id, state, { lease }))),
      );
      await this.closeTasksOf(ids, state, lease);
    }
  }

  private async closeFlowRuns(page: readonly LoadedFlowRun[], state: ProposedState): Promise<void> {
    for (let left = page; left.length > 0;) {
      const outcomes = await this.journal.patiently(() => this.storedRuns.proposeEach(left, state));
      const changed = [...outcomes].flatMap(([id, outcome]) => (outcome === 'changed' ? [id] : []));
      // They may have ended meanwhile, and then stay as they are.
      left = await this.journal.patiently(() => this.flowRuns.openAmong(changed, PAGE, null));
    }
  }

  private closeTasksOf(flowRunIds: readonly string[], state: ProposedState, lease: RunLease): Promise<void> {
    return eachPage(
      (after) => this.journal.patiently(() => this.taskRuns.openOf(flowRunIds, PAGE, after)),
      ({ created }) => created.id,
      (page) => Promise.all(page.map((task) => this.closeTaskRun(task, state, lease))),
    );
  }

  private async closeTaskRun({ created, run }: LoadedTaskRun, state: ProposedState, lease: RunLease): Promise<void> {
    const { after } = decidedTaskRun(run, state, this.clock.now(), run.flowRunRunCount);
    if (after) await this.journal.write(saveEntry(created, run, after, lease, null));
  }
}

/** Deals with page after page, in the order of their ids, so that what cannot be dealt with holds up nothing. */
async function eachPage<T>(
  read: (after: string | null) => Promise<readonly T[]>,
  idOf: (item: T) => string,
  deal: (page: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let after: string | null = null; ;) {
    const page: readonly T[] = await read(after);
    await deal(page);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = idOf(last);
  }
}

function chunks(ids: readonly string[]): string[][] {
  const count = Math.ceil(ids.length / FLOW_RUNS);
  return Array.from({ length: count }, (_, index) => ids.slice(index * FLOW_RUNS, (index + 1) * FLOW_RUNS));
}
