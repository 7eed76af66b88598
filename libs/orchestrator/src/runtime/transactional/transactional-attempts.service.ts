import { Injectable, Logger } from '@nestjs/common';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { OwedHooksRepository } from '../../records/owed-hooks/owed-hooks.repository.js';
import { TaskQueueRepository } from '../../records/task-queue/task-queue.repository.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { RunEndedError } from '../engine/engine-errors.js';
import type { Outcome } from '../engine/outcome.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { LeaseLostError } from '../leases/run-lease.js';
import { JournalClosedError } from '../transitions/journal-closed.error.js';
import { Journal } from '../transitions/journal.js';
import { queueMoveOf } from '../transitions/journal-batch.js';
import type { JournalEntry } from '../transitions/journal-entry.js';
import type { LiveTaskRun } from '../transitions/live-run.js';
import type { TaskRunAnswer } from '../transitions/task-run-answer.js';
import { HostDataSources } from './host-data-sources.service.js';
import type { AttemptTransaction } from './attempt-transaction.js';
import type { TransactionSettings } from './transaction-settings.js';

type Returned = Extract<Outcome, { kind: 'returned' }>;
type SaveEntry = Extract<JournalEntry, { kind: 'save-task-run' }>;

/** One attempt of a transactional task. */
interface TransactionalAttempt {
  readonly live: LiveTaskRun;
  /** Runs the body within the transaction to its outcome, calling `begin` before it does anything. */
  readonly run: (transaction: AttemptTransaction, begin: () => Promise<void>) => Promise<Outcome>;
  /** Decides the state that the run ends in. */
  readonly complete: (returned: Returned) => TaskRunAnswer;
}

/**
 * Attempts of tasks within transactions of the application: what they write and the record that they are done are committed
 * together, or not at all. The record is the last statement; it checks that nobody else may execute the run by now.
 */
@Injectable()
export class TransactionalAttempts {
  private readonly logger = new Logger(TransactionalAttempts.name);

  constructor(
    private readonly dataSources: HostDataSources,
    private readonly taskRuns: TaskRunsRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly process: ProcessLease,
    private readonly owedHooks: OwedHooksRepository,
    private readonly taskQueue: TaskQueueRepository,
  ) {}

  /**
   * Runs one attempt of a run whose states so far are written. Where its outcome is `returned`, it is recorded;
   * otherwise nothing is left of it.
   *
   * @throws {LeaseLostError} when the run may be executed elsewhere by now.
   * @throws {RunEndedError} when somebody else has ended the run.
   * @throws {JournalClosedError} when the process stops before it is known what was committed.
   */
  async attempt(settings: TransactionSettings, { live, run, complete }: TransactionalAttempt): Promise<Outcome> {
    const transaction = this.dataSources.transaction(settings.dataSource, live.created.name);
    // As for everything that is written, the database is waited for; until the attempt ends, which ends the waiting.
    const begin = (): Promise<void> => this.journal.patiently(() => transaction.begin(settings.isolation));
    const outcome = await run(transaction, begin);
    if (outcome.kind !== 'returned') {
      await transaction.rollBack(outcome.kind === 'cut-off' ? outcome.end.reason : 'its task has failed');
      return outcome;
    }
    const before = live.image;
    try {
      await this.commit(transaction, complete(outcome), live.created.name);
      return outcome;
    } catch (error) {
      if (END_OF_RUN.some((type) => error instanceof type)) throw error;
      live.image = before;
      return { kind: 'threw', error, timedOut: false, state: null };
    }
  }

  private async commit(transaction: AttemptTransaction, answer: TaskRunAnswer, runName: string): Promise<void> {
    const { entry } = answer;
    if (entry?.kind !== 'save-task-run') {
      await transaction.rollBack('its run cannot be completed');
      throw new RunEndedError(runName, 'it cannot be completed any more');
    }
    let end: Awaited<ReturnType<AttemptTransaction['commit']>>;
    try {
      end = await transaction.commit((tx) => this.record(tx, entry, runName));
    } catch (error) {
      await transaction.rollBack('it could not be committed');
      throw error;
    }
    if (end.kind === 'unknown') {
      await transaction.abandon(end.error);
      if (!(await this.isRecorded(entry))) throw end.error;
      this.logger.warn(`"${runName}" is recorded, although the commit seemed to fail. ${String(end.error)}`);
    } else {
      // The outcome stands by now, whatever listens to the commits of the data source.
      await transaction
        .finish()
        .catch((error: unknown) => this.logger.error(`After the commit of "${runName}": ${String(error)}`));
    }
    await answer.callHooks();
  }

  private async record(tx: Tx, { lease, write, state, owed, queue }: SaveEntry, runName: string): Promise<void> {
    const { processId } = this.process;
    const fence = { processId, claims: [lease] };
    const { held, saved } = await this.taskRuns.record(tx, fence, { ...write, claim: 1 }, { ...state, claim: 1 });
    if (held === null) void this.process.fencedOut(processId);
    if (held?.[0] !== true) {
      lease?.lose();
      throw lease?.lost ?? new LeaseLostError(null);
    }
    if (!saved) throw new RunEndedError(runName, 'somebody else ended it');
    if (owed) await this.owedHooks.note(tx, [owed]);
    const move = queueMoveOf(write.run, queue);
    if (move) await this.taskQueue.move(tx, processId, [move]);
  }

  /** Asks until the database answers, and waits until it has made an end of the transaction: it may have got the commit. */
  private async isRecorded({ write }: SaveEntry): Promise<boolean> {
    const { id, state } = write.run;
    const stateId = await this.journal.patiently(() =>
      this.transactions.single((tx) => this.taskRuns.settledStateId(tx, id)),
    );
    return stateId === state?.id;
  }
}

/** After these the run is not executed here any more. */
const END_OF_RUN = [LeaseLostError, RunEndedError, JournalClosedError] as const;
