import { goesOnElsewhere } from '../runtime/engine/attempt.js';
import { NoCurrentRunError } from '../runtime/engine/engine-errors.js';
import { currentScope, type RunScope } from '../runtime/engine/run-scope.js';
import {
  Transaction,
  currentTransaction,
  withTransaction,
  type CommitMode,
} from '../runtime/transactions/transaction.js';

export interface TransactionOptions {
  /**
   * Names what is done, across runs: what was committed under it is not done again. The work is called all the same, and finds
   * `isCommitted` and the `value` that was staged. Default: none.
   */
  readonly key?: string;
  /**
   * `lazy` commits with the outermost transaction, `eager` at its own end, `off` never: it is taken back at its end. Default:
   * that of the transaction around it, else `lazy`.
   */
  readonly commitMode?: CommitMode;
  /** `serializable` waits while another one with the same key is under way, across processes. Default `read-committed`. */
  readonly isolation?: 'read-committed' | 'serializable';
  /** Does it although it was committed under its key, and replaces what is remembered. Default `false`. */
  readonly overwrite?: boolean;
  /** Called when it has committed, after its parts. What it throws takes all of it back. */
  readonly onCommit?: (transaction: TransactionHandle) => unknown;
  /** Called when it is taken back, before its parts. What it throws is logged. */
  readonly onRollback?: (transaction: TransactionHandle) => unknown;
}

/** A transaction, as the work within it sees it. */
export interface TransactionHandle {
  /** Whether it was committed under its key before, perhaps by another run. */
  readonly isCommitted: boolean;
  /** What was staged then; `undefined` otherwise. */
  readonly value: unknown;
  /** Keeps a copy of a value, for hooks and for transactions within this one. */
  set(name: string, value: unknown): void;
  /** A copy of a value that was set here, or around here; `undefined` when there is none. */
  get(name: string): unknown;
  /** What is remembered under the key when it commits. */
  stage(value: unknown): void;
}

/**
 * Work that is committed, or taken back, as a whole: when it throws, the `onRollback` hooks of the tasks that completed within
 * it are called, the last one first; when it ends well, their `onCommit` hooks, the first one first. A transaction within
 * another one is a part of that.
 *
 * In a flow it survives a crash: the run goes on in another process, and commits or takes back there. Each rollback hook is
 * a task run of its own (`… rollback`), which is not repeated once it is recorded. Tasks that are taken back become
 * `RolledBack`, and a retry of the flow runs them again.
 *
 * @example
 * ```ts
 * await transaction(async () => {
 *   await this.reserve(order);   // @Task({ onRollback: 'release' })
 *   await this.charge(order);    // if this fails, the reservation is released
 * });
 * ```
 * @returns what the work returned.
 * @throws what it threw, once all is taken back; what a commit hook threw, likewise.
 * @throws {NoCurrentRunError} when a key is given outside any run.
 */
export function transaction<T>(work: (transaction: TransactionHandle) => Promise<T>): Promise<T>;
export function transaction<T>(
  options: TransactionOptions,
  work: (transaction: TransactionHandle) => Promise<T>,
): Promise<T>;
export async function transaction<T>(
  first: TransactionOptions | ((transaction: TransactionHandle) => Promise<T>),
  second?: (transaction: TransactionHandle) => Promise<T>,
): Promise<T> {
  const options = typeof first === 'function' ? {} : first;
  const work = second ?? (first as (transaction: TransactionHandle) => Promise<T>);
  const outer = currentTransaction() ?? null;
  const scope = currentScope();
  const isRehearsal = scope?.place.replay?.isRehearsal ?? false;
  const key = options.key === undefined ? null : await KeyedOutcome.open(scope, options.key, options);

  const handle: TransactionHandle = {
    isCommitted: key?.found != null,
    value: key?.found?.value,
    set: (name, value) => txn.set(name, value),
    get: (name) => txn.get(name),
    stage: (value) => (key ? key.stage(value) : undefined),
  };
  const txn = new Transaction(outer, options.commitMode ?? outer?.mode ?? 'lazy', {
    commit: async () => {
      if (!isRehearsal) await options.onCommit?.(handle);
      await key?.commit();
    },
    rollBack: async () => {
      if (!isRehearsal) await quietly(scope, () => options.onRollback?.(handle));
      await key?.letGo();
    },
  });
  try {
    const result = await withTransaction(txn, () => work(handle));
    if (txn.mode === 'off') await txn.rollBack();
    else if (txn.mode === 'eager' || !outer) await txn.commit();
    else if (txn.status === 'active') {
      txn.status = 'staged';
      outer.add(txn);
    }
    return result;
  } catch (error) {
    // A run that goes on elsewhere commits, or takes back, there.
    const { ended = null } = scope?.attempt ?? {};
    if (ended && goesOnElsewhere(ended)) await key?.letGo();
    else await txn.rollBackThroughout();
    throw error;
  }
}

async function quietly(scope: RunScope | undefined, hook: () => unknown): Promise<void> {
  try {
    await hook();
  } catch (error) {
    scope?.logError('A rollback hook failed.', error);
  }
}

/** What is remembered under the key of a transaction. */
class KeyedOutcome {
  private staged: unknown = undefined;

  private constructor(
    private readonly scope: RunScope,
    private readonly key: string,
    readonly found: { readonly value: unknown } | null,
    private readonly unlock: (() => Promise<void>) | null,
  ) {}

  static async open(
    scope: RunScope | undefined,
    key: string,
    { isolation, overwrite }: TransactionOptions,
  ): Promise<KeyedOutcome> {
    if (!scope) throw new NoCurrentRunError();
    const { outcomes } = scope.place.services;
    const unlock = isolation === 'serializable' ? await outcomes.lock(scope, key) : null;
    const found = overwrite ? null : await outcomes.find(scope, key);
    return new KeyedOutcome(scope, key, found, unlock);
  }

  stage(value: unknown): void {
    this.staged = value;
  }

  async commit(): Promise<void> {
    if (!this.found) await this.scope.place.services.outcomes.remember(this.scope, this.key, this.staged);
    await this.letGo();
  }

  async letGo(): Promise<void> {
    await this.unlock?.();
  }
}
