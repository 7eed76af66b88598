import { Injectable, Logger } from '@nestjs/common';
import { errorCode, SqlState } from '../../persistence/connection/postgres-errors.js';
import { Transactions } from '../../persistence/transactions.js';
import {
  PartitionsRepository,
  type PartitionedTable,
  type RunTable,
  type WeekPartition,
} from '../../records/retention/partitions.repository.js';
import { pause } from '../engine/wait-until.js';
import type { RetentionPass } from './retention-pass.js';

/** Those who come after wait no longer than that for somebody who reads the table while a week of it is to be dropped. */
const PATIENCE_MS = 250;
const ATTEMPTS = 3;
const BETWEEN_MS = 500;

/** Drops weeks as a whole. Nobody waits for that for longer than a moment: a week that is in use stays for now. */
@Injectable()
export class Weeks {
  private readonly logger = new Logger('Retention');
  private mayDrop = true;

  constructor(
    private readonly partitions: PartitionsRepository,
    private readonly transactions: Transactions,
  ) {}

  /** The weeks of a table, oldest first. */
  of(table: PartitionedTable): Promise<WeekPartition[]> {
    return this.transactions.single((tx) => this.partitions.weeksOf(tx, table));
  }

  /** Whether a partition has any rows. */
  hasRows(name: string): Promise<boolean> {
    return this.transactions.single((tx) => this.partitions.hasRows(tx, name));
  }

  /** Drops a week; `false` when it has runs that have not ended, when somebody else has it, or when this role may not. */
  drop(week: WeekPartition, pass: RetentionPass): Promise<boolean> {
    return this.attempt(week, pass, () =>
      this.transactions.single((tx) => this.partitions.drop(tx, week, PATIENCE_MS)),
    );
  }

  /**
   * The same for a week of runs that have ended longer ago than that, as far as anybody has seen;
   * `false` also when one has not.
   */
  dropRuns(week: WeekPartition & { readonly table: RunTable }, pass: RetentionPass, ageMs: number): Promise<boolean> {
    return this.attempt(week, pass, async () => {
      const statements = this.partitions.dropRuns(week, pass.before(ageMs), PATIENCE_MS);
      const answers = await this.transactions.together(statements);
      return answers.at(-1)?.[0]?.gone ?? false;
    });
  }

  private async attempt(week: WeekPartition, pass: RetentionPass, drop: () => Promise<boolean>): Promise<boolean> {
    for (let attempt = 1; this.mayDrop; attempt += 1) {
      try {
        const isGone = await drop();
        if (isGone) pass.notePartition(week.name);
        return isGone;
      } catch (error) {
        const code = errorCode(error);
        if (code === SqlState.InsufficientPrivilege) this.giveUp(error);
        else if (code !== SqlState.LockNotAvailable && code !== SqlState.DeadlockDetected) throw error;
        else if (attempt === ATTEMPTS) return false;
        else await pause(BETWEEN_MS);
      }
    }
    return false;
  }

  /** A role that only reads and writes. */
  private giveUp(error: unknown): void {
    this.mayDrop = false;
    this.logger.warn(`Old weeks cannot be dropped as a whole (${String(error)}); their rows are removed one by one.`);
  }
}
