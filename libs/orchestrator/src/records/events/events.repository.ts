import { formatInstant, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableJson, storableText } from '../../persistence/storable-json.js';
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

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Stores an event that no state change is. One whose id is there already changes nothing, whatever else it says. */
  async insert(tx: Tx, { id, occurred, event, resource, related, payload, follows = null }: NewEvent): Promise<void> {
    await tx.query(
      `with receipt as (insert into ${this.schema}.event_receipt (id) values ($1) on conflict do nothing returning id)
       insert into ${this.schema}.event
         (id, occurred, event, resource_id, resource, related_resource_ids, related, payload, follows)
       select id, $2::timestamptz, $3::text, $4::text, $5::jsonb, $6::jsonb, $7::jsonb, $8::jsonb, $9::uuid from receipt`,
      [
        ...[id, formatInstant(occurred), storableText(event), storableText(resource[RESOURCE_ID])],
        ...[resource, related.map((one) => one[RESOURCE_ID]), related, payload].map(storableJson),
        follows,
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
