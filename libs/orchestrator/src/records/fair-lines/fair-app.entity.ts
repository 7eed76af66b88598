import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** An application in which runs have waited in lines: whoever takes runs from them locks its row. */
@Entity('fair_app', {
  comment:
    'What whoever takes runs from lines of an application locks. Runs with a key and those without go first by turns.',
})
export class FairAppEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'fair_app_pkey' })
  app!: string;

  /** Whether lines go first the next time, or runs without a key. */
  @Column('boolean', { default: true })
  linesFirst!: boolean;

  /** When somebody last looked for what is left over. */
  @InstantColumn({ default: () => "'-infinity'" })
  tidiedAt!: Instant;
}
