import type { Instant } from '@nestor/core';
import { Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** The id of an event that was stored. Partitioned by `id`. */
@Entity('event_receipt', {
  comment:
    'The ids of the events that were stored: events themselves are partitioned by time and cannot be unique by id.',
})
export class EventReceiptEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'event_receipt_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  received!: Instant;
}
