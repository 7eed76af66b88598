import { callHook, type TransactionContext, type TransactionHooks } from '../../transactions/transaction-hooks.js';
import type { TransactionPart } from '../../transactions/transaction.js';

/** What becomes of a task with the transaction that it is part of. */
export interface TransactionEffects {
  /** Remembers its outcome across runs; `null` when it is not to be. */
  readonly remember: (() => Promise<void>) | null;
  /** Does something once, as a recorded part of the run. */
  readonly compensate: (key: string, work: () => unknown) => Promise<unknown>;
  /** Notes that it was taken back; `null` when it did not complete. */
  readonly takeBack: (() => Promise<void>) | null;
  readonly report: (message: string, error: unknown) => void;
}

const NO_HOOKS: TransactionHooks = { onCommit: [], onRollback: [] };

/** A task that has ended, as a part of the transaction around it. */
export class EndedTask implements TransactionPart {
  private readonly hooks: TransactionHooks;

  constructor(
    private readonly context: TransactionContext,
    hooks: TransactionHooks | null,
    private readonly receiver: object,
    private readonly effects: TransactionEffects,
  ) {
    this.hooks = hooks ?? NO_HOOKS;
  }

  async commit(): Promise<void> {
    for (const hook of this.hooks.onCommit) await callHook(hook, this.receiver, this.context);
    await this.effects.remember?.();
  }

  async rollBack(): Promise<void> {
    const { taskRunId, taskName } = this.context;
    const { onRollback } = this.hooks;
    for (let index = onRollback.length - 1; index >= 0; index -= 1) {
      const hook = onRollback[index];
      if (hook === undefined) continue;
      await this.survive(`A rollback hook of ${taskName} failed.`, () =>
        this.effects.compensate(`${taskRunId}/${index}`, () => callHook(hook, this.receiver, this.context)),
      );
    }
    await this.survive(`${taskName} was taken back, which could not be noted.`, () => this.effects.takeBack?.());
  }

  private async survive(message: string, work: () => unknown): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.effects.report(message, error);
    }
  }
}
