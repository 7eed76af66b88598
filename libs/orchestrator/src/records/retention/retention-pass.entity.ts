import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** Where each scan for rows that are to go has come to: the last id that it has looked at. */
export type RetentionCursors = Readonly<Record<string, string | undefined>>;

/** When what an application keeps no longer is removed, and who is at it. */
@Entity('retention_pass', {
  comment: 'When what an application keeps no longer is removed next, and which process is at it until when.',
})
export class RetentionPassEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'retention_pass_pkey' })
  app!: string;

  @InstantColumn()
  nextAt!: Instant;

  @Column('uuid', { nullable: true })
  processId!: string | null;

  /** Until then nobody else begins; it is put off with every batch. */
  @InstantColumn({ nullable: true })
  heldUntil!: Instant | null;

  @Column('jsonb', { default: () => "'{}'" })
  cursors!: RetentionCursors;

  @Column('uuid', {
    array: true,
    default: () => "'{}'",
    comment: 'Flow runs that are removed already, and of which task runs, log lines or artifacts may still be there.',
  })
  removing!: string[];
}
