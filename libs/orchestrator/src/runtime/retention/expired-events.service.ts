import { Inject, Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { ExpiredEventsRepository } from '../../records/retention/expired-events.repository.js';
import type { RetentionPass } from './retention-pass.js';
import { RETENTION_SETTINGS, type EventAge, type RetentionSettings } from './retention-settings.js';
import { Weeks } from './weeks.service.js';

const BATCH = 1_000;
const RECEIPTS = 'event_receipt';

/** Removes events that are older than they are kept: by the week, or oldest first; and those of some names before. */
@Injectable()
export class ExpiredEvents {
  constructor(
    private readonly events: ExpiredEventsRepository,
    private readonly transactions: Transactions,
    private readonly weeks: Weeks,
    @Inject(RETENTION_SETTINGS) private readonly settings: RetentionSettings,
  ) {}

  /** Gives whether nothing is left. */
  async remove(pass: RetentionPass): Promise<boolean> {
    const { eventsMs, eventAges } = this.settings;
    const ofAge = eventsMs === null || (await this.removeOlder(pass, eventsMs));
    const named = await this.removeNamed(pass, eventAges);
    const receipts = eventsMs === null || (await this.forgetReceipts(pass, eventsMs));
    return ofAge && named && receipts;
  }

  private async removeOlder(pass: RetentionPass, ageMs: number): Promise<boolean> {
    const step = pass.step();
    for (const partition of await this.partitions(pass, ageMs, ageMs)) {
      const isDone = await step.exhaust(BATCH, async () => {
        const before = pass.before(ageMs);
        const removed = await this.transactions.single((tx) => this.events.removeBefore(tx, partition, before, BATCH));
        pass.count('events', removed);
        return removed;
      });
      if (!isDone) return false;
    }
    return true;
  }

  /** Names that fit no pattern are passed over in the index; no event of theirs is read. */
  private async removeNamed(pass: RetentionPass, ages: readonly EventAge[]): Promise<boolean> {
    if (ages.length === 0) return true;
    const step = pass.step();
    const shortestMs = Math.min(...ages.map(({ ms }) => ms));
    for (const partition of await this.partitions(pass, shortestMs, null)) {
      if (!(await step.goesOn())) return false;
      const names = await this.transactions.single((tx) => this.events.namesIn(tx, partition));
      step.spend(names.length);
      for (const name of names) {
        const age = ages.find((one) => (one.isPrefix ? name.startsWith(one.name) : name === one.name));
        if (age && !(await this.removeOfName(pass, step, partition, name, age.ms))) return false;
      }
    }
    return true;
  }

  private removeOfName(
    pass: RetentionPass,
    step: ReturnType<RetentionPass['step']>,
    partition: string,
    name: string,
    ageMs: number,
  ): Promise<boolean> {
    const before = pass.before(ageMs);
    return step.exhaust(BATCH, async () => {
      const removed = await this.transactions.single((tx) =>
        this.events.removeNamed(tx, partition, name, before, BATCH),
      );
      pass.count('events', removed);
      return removed;
    });
  }

  /**
   * The partitions that may have events of that age, oldest first; those that have no others go as a whole.
   *
   * @param wholeMs the age at which all of a week may go; `null`: none goes.
   */
  private async partitions(pass: RetentionPass, ageMs: number, wholeMs: number | null): Promise<string[]> {
    const names: string[] = ['event_default'];
    for (const week of await this.weeks.of('event')) {
      if (wholeMs !== null && pass.isBefore(week.untilMs, wholeMs) && (await this.weeks.drop(week, pass))) continue;
      if (pass.isBefore(week.fromMs, ageMs)) names.push(week.name);
    }
    return names;
  }

  /**
   * What was emitted is known for as long as events are kept; and longer, while a run that was there goes on, which may come by
   * the same place again.
   */
  private async forgetReceipts(pass: RetentionPass, ageMs: number): Promise<boolean> {
    for (const week of await this.weeks.of(RECEIPTS)) {
      if (!pass.isBefore(week.untilMs, ageMs)) break;
      const until = new Date(week.untilMs).toISOString();
      if (await this.transactions.single((tx) => this.events.mayBeEmittedAgain(tx, until))) break;
      await this.weeks.drop(week, pass);
    }
    const step = pass.step();
    const before = pass.before(ageMs);
    while (await step.goesOn()) {
      const after = pass.cursors[RECEIPTS] ?? null;
      const { seen, last } = await this.transactions.single((tx) =>
        this.events.forgetReceipts(tx, before, after, BATCH),
      );
      step.spend(seen);
      pass.cursors[RECEIPTS] = seen < BATCH ? undefined : (last ?? undefined);
      if (seen < BATCH) return true;
    }
    return false;
  }
}
