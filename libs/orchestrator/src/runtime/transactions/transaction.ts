import { AsyncLocalStorage } from 'node:async_hooks';

/** When a transaction commits: with the outermost one, at its own end, or never. */
export type CommitMode = 'lazy' | 'eager' | 'off';

/** Something that was done within a transaction: a task, or a transaction within it. */
export interface TransactionPart {
  commit(): Promise<void>;
  /** Takes back what was done. Never rejects: what goes wrong there is logged, and the rest is taken back all the same. */
  rollBack(): Promise<void>;
}

/**
 * Work that is committed, or taken back, as a whole. The parts commit in the order in which they were done, and are taken back
 * in the reverse one.
 */
export class Transaction implements TransactionPart {
  status: 'active' | 'staged' | 'committed' | 'rolled-back' = 'active';

  private readonly parts: TransactionPart[] = [];
  private readonly values = new Map<string, unknown>();

  constructor(
    readonly outer: Transaction | null,
    readonly mode: CommitMode,
    /** What follows its own end, whichever it is: after its parts when it commits, before them when it is taken back. */
    private readonly own: TransactionPart,
  ) {}

  add(part: TransactionPart): void {
    this.parts.push(part);
  }

  /** Keeps a copy of a value, for hooks and for transactions within this one. */
  set(name: string, value: unknown): void {
    this.values.set(name, structuredClone(value));
  }

  /** A copy of a value that was set here, or around here; `undefined` when there is none. */
  get(name: string): unknown {
    return this.values.has(name) ? structuredClone(this.values.get(name)) : this.outer?.get(name);
  }

  /** @throws what a part or a hook threw; by then all of it is taken back. */
  async commit(): Promise<void> {
    if (this.status === 'committed' || this.status === 'rolled-back') return;
    try {
      for (const part of this.parts) await part.commit();
      await this.own.commit();
      this.status = 'committed';
    } catch (error) {
      await this.rollBack();
      throw error;
    }
  }

  async rollBack(): Promise<void> {
    // One that has committed is taken back when another part of the same whole cannot be committed.
    if (this.status === 'rolled-back') return;
    this.status = 'rolled-back';
    await this.own.rollBack();
    for (const part of [...this.parts].reverse()) await part.rollBack();
  }

  /** The same, and then those around it: what failed within a transaction has failed in all of it. */
  async rollBackThroughout(): Promise<void> {
    await this.rollBack();
    await this.outer?.rollBackThroughout();
  }
}

const transactions = new AsyncLocalStorage<Transaction>();

/** The innermost transaction around the code that asks; `undefined` when there is none. */
export function currentTransaction(): Transaction | undefined {
  return transactions.getStore();
}

/** Runs `work` so that nothing in it is part of a transaction around it. */
export function outsideTransactions<T>(work: () => T): T {
  return transactions.exit(work);
}

export function withTransaction<T>(transaction: Transaction, work: () => T): T {
  return transactions.run(transaction, work);
}
