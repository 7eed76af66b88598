import { Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { OwedHooksRepository } from '../../records/owed-hooks/owed-hooks.repository.js';
import { withinMs } from '../engine/wait-until.js';
import { Journal } from '../transitions/journal.js';

/** A statement that forgets more has no advantage. */
const MAX_BATCH = 1_000;

/**
 * Forgets what is not owed any more: all of one turn of the event loop with one statement, and while that is under way what
 * comes up collects. Nobody waits for it: if the process dies before, hooks are called once more.
 */
@Injectable()
export class SettledHooks {
  private readonly logger = new Logger(SettledHooks.name);
  private stateIds: string[] = [];
  private forgetting: Promise<void> | null = null;

  constructor(
    private readonly repository: OwedHooksRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
  ) {}

  /** Resolves when it is forgotten, or given up. Never rejects. */
  add(stateId: string): Promise<void> {
    this.stateIds.push(stateId);
    return (this.forgetting ??= this.forgetAll());
  }

  /** Resolves when everything so far is forgotten, or after that time. */
  async close(ms: number): Promise<void> {
    if (this.forgetting) await withinMs(this.forgetting, ms);
  }

  private async forgetAll(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    try {
      while (this.stateIds.length > 0) {
        const batch = this.stateIds.splice(0, MAX_BATCH);
        await this.journal.patiently(() => this.transactions.single((tx) => this.repository.settle(tx, batch)));
      }
    } catch (error) {
      this.logger.warn(`Hooks that were called could not be noted as such, and are called again: ${String(error)}`);
    } finally {
      this.forgetting = null;
    }
  }
}
