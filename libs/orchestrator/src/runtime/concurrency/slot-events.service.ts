import { Injectable, Logger } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import type { LimitOfClaim } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { EventsRepository, type NewEvent } from '../../records/events/events.repository.js';
import { labelsOf, type Labels } from '../events/event-content.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { Journal } from '../transitions/journal.js';

const MAX_BATCH = 100;
/** More than that is not kept while the database is away. */
const MAX_BUFFERED = 10_000;

/**
 * Says which slots were taken and given back: one event for each limit. They are written in batches right after it happened;
 * those of a process that dies in between are not.
 */
@Injectable()
export class SlotEvents {
  private readonly logger = new Logger(SlotEvents.name);
  private buffer: NewEvent[] = [];
  private writing: Promise<void> | null = null;

  constructor(
    private readonly events: EventsRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * @param related what it has to do with besides the limits.
   * @param follows the ids of the events that these follow, by limit.
   * @returns the ids of the events, by limit.
   */
  append(
    phase: 'acquired' | 'released',
    limits: readonly LimitOfClaim[],
    slots: number,
    related: readonly Labels[],
    follows: ReadonlyMap<string, string> | null = null,
  ): ReadonlyMap<string, string> {
    const ids = new Map<string, string>();
    for (const limit of limits) {
      const id = newId();
      ids.set(limit.id, id);
      const others = limits.filter((other) => other !== limit).map((other) => labelsOf(resourceOf(other), ROLE));
      const labels = { 'slots-acquired': String(slots), limit: String(limit.limit) };
      this.buffer.push({
        id,
        occurred: this.clock.now(),
        event: `prefect.concurrency-limit.${phase}`,
        resource: labelsOf({ ...resourceOf(limit), labels }),
        related: [...others, ...related],
        payload: {},
        follows: follows?.get(limit.id) ?? null,
      });
    }
    if (this.buffer.length > MAX_BUFFERED) this.buffer = this.buffer.slice(-MAX_BUFFERED);
    this.writing ??= this.write();
    return ids;
  }

  /** Resolves when what was appended is written, or cannot be. Never rejects. */
  async settled(): Promise<void> {
    await this.writing;
  }

  private async write(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve)); // all of this turn go along
    try {
      while (this.buffer.length > 0) {
        const batch = this.buffer.splice(0, MAX_BATCH);
        const inserts = batch.map(
          (event) => (tx: Parameters<EventsRepository['insert']>[0]) => this.events.insert(tx, event),
        );
        await this.journal.patiently(() => this.transactions.together(inserts));
      }
    } catch (error) {
      this.logger.warn(`Events of concurrency limits could not be written: ${String(error)}`);
    } finally {
      this.writing = null;
    }
  }
}

const ROLE = 'concurrency-limit';

function resourceOf({ id, name }: LimitOfClaim): { id: string; name: string } {
  return { id: `prefect.concurrency-limit.${id}`, name };
}
