import { Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { PayloadsRepository } from '../../records/payloads/payloads.repository.js';
import { Journal } from '../transitions/journal.js';
import { DATABASE_STORE } from './payload-options.js';
import type { PayloadStore } from './payload-store.js';

/** The store that is a table of our schema, dropped week by week with the runs. */
@Injectable()
export class PayloadTable implements PayloadStore {
  readonly name = DATABASE_STORE;

  constructor(
    private readonly transactions: Transactions,
    private readonly payloads: PayloadsRepository,
    private readonly journal: Journal,
  ) {}

  /**
   * Waits for a database that is away, as the rows of the runs do.
   *
   * @throws {JournalClosedError} when the process stops first.
   */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.journal.patiently(() => this.transactions.single((tx) => this.payloads.insert(tx, key, bytes)));
  }

  get(key: string): Promise<Uint8Array | null> {
    return this.payloads.find(key);
  }

  delete(key: string): Promise<void> {
    return this.payloads.delete(key);
  }
}
