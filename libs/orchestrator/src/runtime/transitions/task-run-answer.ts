import { lostLease } from '../leases/run-lease.js';
import type { Answer } from './decided.js';
import type { EntryOutcome, JournalEntry } from './journal-entry.js';
import type { Journal } from './journal.js';

/** What a proposal for a task run led to, and the two ways of writing it. */
export class TaskRunAnswer {
  constructor(
    readonly answer: Answer,
    /** What is to be written; `null` when the run stays as it is. */
    readonly entry: JournalEntry | null,
    private readonly journal: Journal,
    /** Calls the hooks that the state owes, if it owes any. */
    private readonly hooks: (() => Promise<void>) | undefined = undefined,
  ) {}

  /**
   * Writes it; resolves when it is durable and its hooks have been called, and rejects with {@link LeaseLostError} when the run
   * may be executed elsewhere.
   */
  durable(): Promise<void> {
    const { entry } = this;
    if (!entry) return Promise.resolve();
    const durable = new Promise<void>((resolve, reject) => {
      const settle = (outcome: EntryOutcome): void =>
        outcome === 'written' ? resolve() : reject(lostLease(entry.lease));
      this.journal.append(entry, { settle, fail: reject });
    });
    return this.hooks ? durable.then(this.hooks) : durable;
  }

  /** Calls the hooks that the state owes, for whoever has made it durable in another way. */
  callHooks(): Promise<void> {
    return this.hooks?.() ?? Promise.resolve();
  }

  /** Writes it with the next flush, for a state that leads on and that nobody waits for. */
  inPassing(): void {
    if (this.entry) this.journal.rideAlongWith(this.entry);
  }
}
