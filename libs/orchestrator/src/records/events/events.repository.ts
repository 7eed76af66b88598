import type { Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';

/** Something that happened, whether stored as an event or derived from a state. */
interface FeedEvent {
  readonly id: string;
  readonly occurred: Instant;
  readonly event: string;
  readonly resourceId: string;
  readonly resource: Readonly<Record<string, string>>;
  readonly related: readonly Readonly<Record<string, string>>[];
  readonly payload: Readonly<Record<string, unknown>>;
  readonly follows: string | null;
}

/** Reads view `event_feed`: the stored events together with those that state changes are. */
@Injectable()
export class EventsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
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
