import { OrchestratorError } from '@nestor/core';
import { Injectable, Logger } from '@nestjs/common';
import { isPassing } from '../../persistence/connection/postgres-errors.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { batchSize, foldEntries, MAX_BATCH, type JournalBatch } from './journal-batch.js';
import type { EntryOutcome, JournalEntry, QueuedEntry } from './journal-entry.js';

/** How long a state nobody waits for may stay in memory before it is flushed on its own. */
const RIDE_ALONG_MS = 5;

/** Pauses between attempts to flush while the database is away. */
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 2_000;

/** The journal was closed before an entry could be written, because the database stayed away. */
export class JournalClosedError extends OrchestratorError {
  readonly code = 'JOURNAL_CLOSED';

  constructor(options?: ErrorOptions) {
    super('The process stopped before this state could be written to the database.', options);
  }
}

/**
 * The one door to the state columns: group commit.
 *
 * Transitions from everywhere in the process meet here. While one flush is in flight the next batch collects; a flush is
 * one statement per table and one transaction, so a lone task costs one commit and a thousand concurrent ones a handful.
 * Whoever needs durability waits for the flush that carries its entry, never for a timer.
 *
 * A database that is away is waited for: every statement may be repeated after a commit whose answer was lost. An entry
 * the database refuses for what it is fails alone, not with its batch.
 */
@Injectable()
export class Journal {
  private readonly logger = new Logger(Journal.name);
  private queue: QueuedEntry[] = [];
  private flushing: Promise<void> | null = null;
  private flushScheduled = false;
  private rideAlong: NodeJS.Timeout | null = null;
  private giveUp: AbortController = new AbortController();
  private closed = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly flowRuns: FlowRunsRepository,
    private readonly taskRuns: TaskRunsRepository,
  ) {}

  /**
   * Appends an entry and resolves when it is durable or refused.
   *
   * @throws {JournalClosedError} when the process stopped first.
   */
  write(entry: JournalEntry): Promise<EntryOutcome> {
    return new Promise((settle, fail) => {
      this.enqueue({ entry, settle, fail });
      this.scheduleFlush();
    });
  }

  /**
   * Appends an entry nobody waits for. It is written with the next flush, at most a few milliseconds later.
   *
   * @param settle told what became of it, where that matters.
   */
  rideAlongWith(entry: JournalEntry, settle: ((outcome: EntryOutcome) => void) | null = null): void {
    const fail = (error: unknown): void => {
      this.logger.error(`A state could not be recorded: ${String(error)}`, error instanceof Error ? error.stack : '');
    };
    this.enqueue({ entry, settle, fail });
    if (this.queue.length >= MAX_BATCH) this.scheduleFlush();
    else {
      this.rideAlong ??= setTimeout(() => {
        this.rideAlong = null;
        this.scheduleFlush();
      }, RIDE_ALONG_MS);
    }
  }

  /**
   * Writes what is left, for at most `withinMs`; after that entries are refused.
   * Always resolves.
   */
  async close(withinMs: number): Promise<void> {
    const deadline = setTimeout(() => this.giveUp.abort(), withinMs);
    this.scheduleFlush();
    while (this.queue.length > 0 || this.flushing || this.flushScheduled) {
      await (this.flushing ?? new Promise((resolve) => setImmediate(resolve)));
    }
    this.closed = true;
    clearTimeout(deadline);
  }

  /**
   * Asks the database for something that may be asked twice, again and again while it is away.
   *
   * @throws {JournalClosedError} when the process stops first.
   */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.giveUp;
    for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS)) {
      if (signal.aborted) throw new JournalClosedError();
      try {
        return await unlessAborted(work(), signal);
      } catch (error) {
        if (error instanceof JournalClosedError || !isPassing(error)) throw error;
        if (signal.aborted) throw new JournalClosedError({ cause: error });
        this.logger.warn(`The database is away (${String(error)}); trying again in ${pauseMs} ms.`);
        await pause(pauseMs, signal);
      }
    }
  }

  private enqueue(queued: QueuedEntry): void {
    if (this.closed) queued.fail(new JournalClosedError());
    else this.queue.push(queued);
  }

  /** The flush starts after this turn of the event loop, so that everything that happens in it goes along. */
  private scheduleFlush(): void {
    if (this.flushing || this.flushScheduled) return;
    this.flushScheduled = true;
    setImmediate(() => {
      this.flushScheduled = false;
      this.flushing = this.flushAll().finally(() => (this.flushing = null));
    });
  }

  private async flushAll(): Promise<void> {
    if (this.rideAlong) clearTimeout(this.rideAlong);
    this.rideAlong = null;
    while (this.queue.length > 0) {
      const size = batchSize(this.queue);
      const batch = this.queue.slice(0, size);
      this.queue = this.queue.slice(size);
      await this.flush(batch);
    }
  }

  /** Never rejects: every entry of the batch is settled or failed in the end. */
  private async flush(entries: readonly QueuedEntry[]): Promise<void> {
    try {
      const moved = await this.patiently(() => this.writeBatch(foldEntries(entries)));
      for (const { entry, settle } of entries) {
        settle?.(entry.kind === 'move-flow-run' && !moved.has(entry.move.run.id) ? 'refused' : 'written');
      }
    } catch (error) {
      if (error instanceof JournalClosedError) failAll(entries, error);
      else await this.isolate(entries, error);
    }
  }

  /** Finds the entry that the database does not take, by halves, and lets the others through. */
  private async isolate(entries: readonly QueuedEntry[], error: unknown): Promise<void> {
    if (entries.length === 1) return failAll(entries, error);
    const half = Math.ceil(entries.length / 2);
    await this.flush(entries.slice(0, half));
    await this.flush(entries.slice(half));
  }

  private async writeBatch(batch: JournalBatch): Promise<ReadonlySet<string>> {
    const statements: ((tx: Tx) => Promise<void>)[] = [];
    let moved: ReadonlySet<string> = new Set();
    if (batch.createdFlowRuns.length > 0) {
      statements.push((tx) => this.flowRuns.insert(tx, batch.createdFlowRuns, batch.createdStates));
    }
    if (batch.moves.length > 0) {
      statements.push(async (tx) => {
        moved = await this.flowRuns.move(tx, batch.moves, batch.moveStates);
      });
    }
    if (batch.taskRuns.length > 0) {
      statements.push((tx) => this.taskRuns.save(tx, batch.taskRuns, batch.taskStates));
    }

    const only = statements.length === 1 ? statements[0] : undefined;
    if (only) {
      await this.transactions.single(only);
    } else {
      await this.transactions.run(async (tx) => {
        for (const statement of statements) await statement(tx);
      });
    }
    return moved;
  }
}

function failAll(entries: readonly QueuedEntry[], error: unknown): void {
  for (const { fail } of entries) fail(error);
}

/** The outcome of `work`, but not longer than until `signal` fires: a server that lost its network never answers. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(new JournalClosedError());
    signal.addEventListener('abort', giveUp);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
