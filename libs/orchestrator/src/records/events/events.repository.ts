import { formatInstant, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableJson, storableText } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import { RowSet } from '../row-set.js';

type Labels = Readonly<Record<string, string>>;

/** Something that happened, whether stored as an event or derived from a state. */
interface FeedEvent {
  readonly id: string;
  readonly occurred: Instant;
  readonly event: string;
  readonly resourceId: string;
  readonly resource: Labels;
  readonly related: readonly Labels[];
  readonly payload: Readonly<Record<string, unknown>>;
  readonly follows: string | null;
}

/** The label by which an event names what it is about. */
export const RESOURCE_ID = 'prefect.resource.id';

/** An event that is no change of a state. */
export interface NewEvent extends Pick<FeedEvent, 'id' | 'occurred' | 'event' | 'related' | 'payload'> {
  readonly resource: Labels & { readonly [RESOURCE_ID]: string };
  /** The event that it follows, if that is known. Default: none. */
  readonly follows?: string | null;
}

/** Stores events, and reads view `event_feed`: the stored events together with those that state changes are. */
@Injectable()
export class EventsRepository {
  private readonly schema: string;
  private readonly insertStatement: PreparedStatement;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
    this.insertStatement = preparedStatement('insert_events', insertEvents(this.schema));
  }

  /** Stores an event that no state change is. One whose id is there already changes nothing, whatever else it says. */
  insert(tx: Tx, event: NewEvent): Promise<void> {
    return this.insertAll(tx, [event]);
  }

  /** The same for many, with one statement. Of several with the same id the first counts. */
  async insertAll(tx: Tx, events: readonly NewEvent[]): Promise<void> {
    const first = new Map<string, NewEvent>();
    for (const event of events) if (!first.has(event.id)) first.set(event.id, event);
    await tx.query(this.insertStatement, eventRows.parameters([...first.values()]));
  }

  /** The state events of one flow run or task run, oldest first. */
  listByRun(runId: string, { limit }: { limit: number }): Promise<FeedEvent[]> {
    return this.dataSource.query<FeedEvent[]>(
      `select id, occurred, event, resource_id as "resourceId", resource, related, payload, follows
         from ${this.schema}.event_feed where run_id = $1 order by occurred, id limit $2`,
      [runId, limit],
    );
  }
}

const eventRows = new RowSet<NewEvent>([
  ['id', 'uuid', ({ id }) => id],
  ['occurred', 'timestamptz', ({ occurred }) => formatInstant(occurred)],
  ['event', 'text', ({ event }) => storableText(event)],
  ['resource_id', 'text', ({ resource }) => storableText(resource[RESOURCE_ID])],
  ['resource', 'jsonb', ({ resource }) => storableJson(resource)],
  ['related_resource_ids', 'jsonb', ({ related }) => storableJson(related.map((one) => one[RESOURCE_ID]))],
  ['related', 'jsonb', ({ related }) => storableJson(related)],
  ['payload', 'jsonb', ({ payload }) => storableJson(payload)],
  ['follows', 'uuid', ({ follows }) => follows ?? null],
]);

/**
 * The receipts first, in the order of their ids, so that two batches that have ids in common wait for each other in that order
 * alone; then the events whose receipts are new. Locks nothing else.
 */
const insertEvents = (schema: string): string => `
  with receipt as (
    insert into ${schema}.event_receipt (id)
    select id from ${eventRows.source(1, 'r')} order by id
    on conflict do nothing
    returning id
  )
  insert into ${schema}.event (${eventRows.names})
  select ${eventRows.names.replace(/^id, /, 'e.id, ')} from ${eventRows.source(1, 'e')} join receipt on receipt.id = e.id`;
