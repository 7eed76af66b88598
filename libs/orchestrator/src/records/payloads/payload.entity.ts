import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** A parameter set, result or error that is too large for the row of its run. Partitioned by `id`. */
@Entity('payload', {
  comment: 'Parameters, results and errors that are too large for the row of their run, which refers to them by id.',
})
export class PayloadEntity {
  /** In the millisecond of the run's id. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'payload_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  /** As the payload codecs left it. */
  @Column('bytea')
  data!: Buffer;
}
