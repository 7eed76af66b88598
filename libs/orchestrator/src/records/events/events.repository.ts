import { formatInstant, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';

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
const RESOURCE_ID = 'prefect.resource.id';

/** An event that is no change of a state. */
export interface NewEvent extends Pick<FeedEvent, 'id' | 'occurred' | 'event' | 'related' | 'payload'> {
  readonly resource: Labels & { readonly [RESOURCE_ID]: string };
}

/** Stores events, and reads view `event_feed`: the stored events together with those that state changes are. */
@Injectable()
export class EventsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Stores an event that no state change is. Doing it twice changes nothing. */
  async insert(tx: Tx, { id, occurred, event, resource, related, payload }: NewEvent): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.event (id, occurred, event, resource_id, resource, related_resource_ids, related, payload)
       values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
      [
        ...[id, formatInstant(occurred), event, resource[RESOURCE_ID], JSON.stringify(resource)],
        ...[related.map((one) => one[RESOURCE_ID]), related, payload].map((part) => JSON.stringify(part)),
      ],
    );
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
