import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn, PrimaryInstantColumn } from '../../persistence/columns/instant.column.js';

type Labels = Record<string, string>;

/**
 * An event that was stored as such. The events of state changes are not among them: view `event_feed` derives those from
 * the states and shows both. Partitioned by `occurred`.
 */
@Entity('event')
@Index('event_name_idx', ['event', 'occurred', 'id'])
@Index('event_resource_idx', ['resourceId', 'occurred'])
@Index('event_related_ids_idx', ['relatedResourceIds'], { type: 'gin' })
export class EventEntity {
  @PrimaryInstantColumn({ primaryKeyConstraintName: 'event_pkey' })
  occurred!: Instant;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'event_pkey' })
  id!: string;

  @Column('text')
  event!: string;

  @Column('text')
  resourceId!: string;

  @Column('jsonb', { default: () => "'{}'" })
  resource!: Labels;

  @Column('jsonb', { default: () => "'[]'" })
  relatedResourceIds!: string[];

  @Column('jsonb', { default: () => "'[]'" })
  related!: Labels[];

  @Column('jsonb', { default: () => "'{}'" })
  payload!: Record<string, unknown>;

  @InstantColumn({ default: () => 'now()' })
  received!: Instant;

  @InstantColumn({ default: () => 'now()' })
  recorded!: Instant;

  @Column('uuid', { nullable: true })
  follows!: string | null;
}
