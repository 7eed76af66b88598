import { Injectable } from '@nestjs/common';
import { Publications } from '../engine/publications.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { allRelated, checkEvent, labelsOf, occurredAt, type EmittedEvent } from './event-content.js';
import { EventWriter } from './event-writer.service.js';
import { relatedToRun } from './related-to-run.js';

/**
 * Says what happened, for whoever wants to know: people, automations, other systems. Inside a run an event is related to the
 * flow run, the task run, the flow and the tags by itself.
 *
 * An event is durable when the call resolves; those that are emitted at the same time are written together, and none is
 * dropped: a burst waits in memory for its turn, so that whoever emits many awaits them. Code that runs again does not emit
 * it again: in the body of a flow, what says the same at the same place is emitted once, whether the run is resumed or
 * tried again. In a task that holds for each attempt; one that says something else when it runs again, after its process
 * died, is emitted besides: at least once. Within a run the call waits while the database is away; outside of one it is
 * rejected with what went wrong.
 *
 * @example
 * ```ts
 * await this.events.emit({ event: 'shop.order.paid', resource: { id: `shop.order.${order.id}` }, payload: { total } });
 * ```
 */
@Injectable()
export class Events {
  constructor(
    private readonly writer: EventWriter,
    private readonly publications: Publications,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * Emits an event; gives its id. One whose `id` was stored before is not stored again.
   *
   * @throws {InvalidEventError} when a part of it is missing, of another kind, too long or too much; see {@link EmittedEvent}.
   */
  emit(emitted: EmittedEvent): Promise<string> {
    return this.publications.unlessOver(async () => {
      const { event, payload = {}, follows = null } = emitted;
      const resource = labelsOf(emitted.resource);
      const given = (emitted.related ?? []).map((one) => labelsOf(one, one.role));
      const related = allRelated(resource, given, relatedToRun());
      const occurred = occurredAt(emitted);
      const bytes = checkEvent(emitted, resource, related);
      const id = emitted.id ?? this.publications.idOf('event', [event, resource, given, payload, follows]);
      const row = {
        id: id.toLowerCase(),
        occurred: occurred ?? this.clock.now(),
        event,
        resource,
        related,
        payload,
        follows,
      };
      await this.writer.write(row, { bytes, isPatient: this.publications.isWithinRun });
      return row.id;
    });
  }
}
