import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import type { LimitOfClaim } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { labelsOf, type Labels } from '../events/event-content.js';
import { EventWriter } from '../events/event-writer.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';

/**
 * Says which slots were taken and given back: one event for each limit. They are written in batches soon after it happened; those
 * of a process that dies in between are not.
 */
@Injectable()
export class SlotEvents {
  constructor(
    private readonly writer: EventWriter,
    private readonly clock: DatabaseClock,
  ) {}

  /** Resolves when there is room for the events of further slots; at once, most of the time. */
  whenRoom(): Promise<void> {
    return this.writer.whenRoom();
  }

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
    const events = limits.map((limit) => {
      const id = newId();
      ids.set(limit.id, id);
      const others = limits.filter((other) => other !== limit).map((other) => labelsOf(resourceOf(other), ROLE));
      const labels = { 'slots-acquired': String(slots), limit: String(limit.limit) };
      return {
        id,
        occurred: this.clock.now(),
        event: `prefect.concurrency-limit.${phase}`,
        resource: labelsOf({ ...resourceOf(limit), labels }),
        related: [...others, ...related],
        payload: {},
        follows: follows?.get(limit.id) ?? null,
      };
    });
    this.writer.append(events);
    return ids;
  }

  /** Resolves when what was appended is written, or cannot be. Never rejects. */
  settled(): Promise<void> {
    return this.writer.settled();
  }
}

const ROLE = 'concurrency-limit';

function resourceOf({ id, name }: LimitOfClaim): { id: string; name: string } {
  return { id: `prefect.concurrency-limit.${id}`, name };
}
