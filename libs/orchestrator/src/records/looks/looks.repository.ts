import { Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { askedTogether, type Look } from './look.js';

/** Asks many small questions with one statement. */
@Injectable()
export class LooksRepository {
  constructor(private readonly transactions: Transactions) {}

  /**
   * Gives for each of the looks in how many milliseconds there is something to do, 0 or less for now;
   * `null` where there is nothing.
   */
  async ask(looks: readonly Look[]): Promise<readonly (number | null)[]> {
    if (looks.length === 0) return [];
    const { text, parameters } = askedTogether(looks);
    const [row] = await this.transactions.single((tx) => tx.query<{ answers: (number | null)[] }>(text, parameters));
    return row?.answers ?? [];
  }
}
