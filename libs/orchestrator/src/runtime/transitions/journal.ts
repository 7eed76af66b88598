import { Injectable, Logger } from '@nestjs/common';
import { HandOver } from '../concurrency/hand-over.service.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { BatchWriter } from './batch-writer.service.js';
import { batchSize, foldEntries, MAX_BATCH } from './journal-batch.js';
import { JournalClosedError } from './journal-closed.error.js';
import type { EntryOutcome, JournalEntry, QueuedEntry, Waiting } from './journal-entry.js';
import { Patience } from './patience.js';
import { Turnstile } from './turnstile.js';

/** How long a state nobody waits for may stay in memory before it is flushed on its own. */
const RIDE_ALONG_MS = 5;

/**
 * What is begun beyond this waits until some of it is written: it would only use memory. One batch,
 * besides the one in flight.
 */
const HIGH_WATER = MAX_BATCH;

/**
 * The one door to the state columns: group commit.
 *
 * Transitions from everywhere in the process meet here. While one flush is in flight the next batch collects; a flush is
 * one statement per table and one transaction, so a lone task costs one commit and a thousand concurrent ones a handful.
 * Whoever needs durability waits for the flush that carries its entry, never for a timer.
 *
 * A database that is away is waited for: every statement may be repeated after a commit whose answer was lost. An entry
 * the database refuses for what it is fails alone, not with its batch; so is one refused alone whose lease is lost. When
 * the process itself was fenced, everything it executed is lost, and it goes on under a new id.
 */
@Injectable()
export class Journal {
  private readonly logger = new Logger(Journal.name);
  private queue: QueuedEntry[] = [];
  /** How many entries have come into the queue, and how many of them, the first ones, are dealt with. */
  private appended = 0;
  private dealtWith = 0;
  /** Who waits until so many are, in that order. */
  private readonly waitingFor: { readonly upTo: number; readonly goOn: () => void }[] = [];
  /** The entries of task runs in the queue, by id. */
  private readonly queuedTasks = new Map<string, QueuedEntry>();
  private flushing: Promise<void> | null = null;
  private flushScheduled = false;
  private rideAlong: NodeJS.Timeout | null = null;
  private readonly patience = new Patience(this.logger);
  private closed = false;
  private readonly turnstile = new Turnstile(() => this.queue.length < HIGH_WATER || this.closed);

  constructor(
    private readonly writer: BatchWriter,
    private readonly handOver: HandOver,
    private readonly process: ProcessLease,
  ) {}

  /**
   * Appends an entry and resolves when it is durable or refused.
   *
   * @throws {JournalClosedError} when the process stopped first.
   */
  write(entry: JournalEntry): Promise<EntryOutcome> {
    return new Promise((settle, fail) => this.append(entry, { settle, fail }));
  }

  /** Appends an entry and tells what became of it. */
  append(entry: JournalEntry, waiting: Waiting): void {
    this.enqueue(entry, waiting);
    this.scheduleFlush();
  }

  /**
   * Appends an entry nobody waits for. It is written with the next flush, at most a few milliseconds later.
   *
   * @param settle told what became of it, where that matters.
   */
  rideAlongWith(entry: JournalEntry, settle: ((outcome: EntryOutcome) => void) | null = null): void {
    this.enqueue(entry, settle && { settle, fail: this.report });
    if (this.queue.length >= MAX_BATCH) this.scheduleFlush();
    else {
      this.rideAlong ??= setTimeout(() => {
        this.rideAlong = null;
        this.scheduleFlush();
      }, RIDE_ALONG_MS);
    }
  }

  /** Whether something new may be begun at once. Otherwise what has been begun is written first: see {@link whenRoom}. */
  get hasRoom(): boolean {
    return this.turnstile.isOpen;
  }

  /** Calls `goOn` when there is room. It waits for the database alone, never for what others have begun to end. */
  whenRoom(flowRunId: string | null, goOn: () => void): void {
    this.turnstile.wait(flowRunId, goOn);
  }

  /** Resolves when everything that was appended so far is written, refused or given up, whatever comes in meanwhile. */
  settled(): Promise<void> {
    const upTo = this.appended;
    if (this.dealtWith === upTo) return Promise.resolve();
    this.scheduleFlush();
    return new Promise((goOn) => this.waitingFor.push({ upTo, goOn }));
  }

  /** Resolves when there is nothing left to be written: what comes in meanwhile is waited for as well. */
  async idle(): Promise<void> {
    while (this.dealtWith < this.appended) await this.settled();
  }

  /**
   * Writes what is left, for at most `withinMs`; after that entries are refused.
   * Always resolves.
   */
  async close(withinMs: number): Promise<void> {
    const deadline = setTimeout(() => this.patience.giveUp(), withinMs);
    this.scheduleFlush();
    while (this.queue.length > 0 || this.flushing || this.flushScheduled) {
      await (this.flushing ?? new Promise((resolve) => setImmediate(resolve)));
    }
    this.closed = true;
    this.turnstile.letIn(Infinity);
    clearTimeout(deadline);
  }

  /**
   * See {@link Patience.patiently}.
   *
   * @throws {JournalClosedError} when the process stops first.
   */
  patiently<T>(work: () => Promise<T>): Promise<T> {
    return this.patience.patiently(work);
  }

  private readonly report = (error: unknown): void => {
    this.logger.error(`A state could not be recorded: ${String(error)}`, error instanceof Error ? error.stack : '');
  };

  /**
   * A task run that goes on while its last state is still queued has its row written once, with all its states: that is most
   * of them, and half the work. Nothing it depends on is written later for it, because what it awaited is durable already.
   */
  private enqueue(entry: JournalEntry, waiting: Waiting | null): void {
    if (this.closed) return (waiting?.fail ?? this.report)(new JournalClosedError());
    if (entry.kind === 'save-task-run') {
      const { id } = entry.write.created;
      const queued = this.queuedTasks.get(id);
      if (queued?.entry.lease === entry.lease) {
        queued.entry = entry;
        queued.states.push(entry.state);
        if (waiting) queued.waiting.push(waiting);
        return;
      }
    }
    const states = 'state' in entry ? [entry.state] : [];
    const queued: QueuedEntry = { entry, states, waiting: waiting ? [waiting] : [] };
    this.queue.push(queued);
    this.appended += 1;
    if (entry.kind === 'save-task-run') this.queuedTasks.set(entry.write.created.id, queued);
  }

  /** The flush starts after this turn of the event loop, so that everything that happens in it goes along. */
  private scheduleFlush(): void {
    if (this.flushing || this.flushScheduled) return;
    this.flushScheduled = true;
    setImmediate(() => {
      this.flushScheduled = false;
      this.flushing = this.flushAll().finally(() => {
        this.flushing = null;
        // What came in between its last look at the queue and now was left to it, and nobody else would write it.
        if (this.queue.length > 0) this.scheduleFlush();
      });
    });
  }

  private async flushAll(): Promise<void> {
    if (this.rideAlong) clearTimeout(this.rideAlong);
    this.rideAlong = null;
    while (this.queue.length > 0) {
      const size = batchSize(this.queue);
      const batch = this.queue.slice(0, size);
      this.queue = this.queue.slice(size);
      for (const { entry } of batch) {
        if (entry.kind === 'save-task-run') this.queuedTasks.delete(entry.write.created.id);
      }
      const flushed = this.flush(batch);
      // Once the batch is on its way to the server, which works on it while we work on the next.
      setImmediate(() => this.turnstile.letIn(MAX_BATCH));
      await flushed;
      this.dealtWith += size;
      while (this.waitingFor[0] && this.waitingFor[0].upTo <= this.dealtWith) this.waitingFor.shift()?.goOn();
    }
  }

  /** Never rejects: every entry of the batch is settled or failed in the end. */
  private async flush(entries: readonly QueuedEntry[]): Promise<void> {
    const [lost, live] = parted(entries, ({ entry }) => entry.lease?.lost != null);
    for (const queued of lost) settle(queued, 'lease-lost');
    if (live.length === 0) return;
    try {
      const batch = foldEntries(live);
      const { processId } = this.process;
      const { held, moved, enqueued, created, handed } = await this.patiently(() =>
        this.writer.write(batch, processId),
      );
      if (handed.length > 0) this.handOver.tell(handed);
      if (held === null) {
        await this.process.fencedOut(processId);
        return await this.flush(live); // the leases are lost by now; what needs none is written under the new id
      }
      const lostClaims = new Set(batch.claims.filter((_, index) => held[index] !== true));
      for (const lease of lostClaims) lease?.lose();
      for (const queued of live) {
        const { entry } = queued;
        const isRefused =
          (entry.kind === 'move-flow-run' && (!moved.has(entry.move.run.id) || batch.outdated.has(queued))) ||
          (entry.kind === 'enqueue-task' && !enqueued.has(entry.task.created.id)) ||
          (entry.kind === 'create-waiting-run' && !created.has(entry.waiting.created.id));
        if (lostClaims.has(entry.lease)) settle(queued, 'lease-lost');
        else settle(queued, isRefused ? 'refused' : 'written');
      }
    } catch (error) {
      if (error instanceof JournalClosedError) this.failAll(live, error);
      else await this.isolate(live, error);
    }
  }

  /** Finds the entry that the database does not take, by halves, and lets the others through. */
  private async isolate(entries: readonly QueuedEntry[], error: unknown): Promise<void> {
    if (entries.length === 1) return this.failAll(entries, error);
    const half = Math.ceil(entries.length / 2);
    await this.flush(entries.slice(0, half));
    await this.flush(entries.slice(half));
  }

  private failAll(entries: readonly QueuedEntry[], error: unknown): void {
    for (const { waiting } of entries) {
      if (waiting.length === 0) this.report(error);
      for (const one of waiting) one.fail(error);
    }
  }
}

function settle({ waiting }: QueuedEntry, outcome: EntryOutcome): void {
  for (const one of waiting) one.settle(outcome);
}

function parted<T>(items: readonly T[], isFirst: (item: T) => boolean): readonly [T[], T[]] {
  const first: T[] = [];
  const second: T[] = [];
  for (const item of items) (isFirst(item) ? first : second).push(item);
  return [first, second];
}
