import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** Something a run asks for, is answered, or is told by another run. Partitioned by `flow_run_id`. */
@Entity('flow_run_input', {
  comment: 'What a run asks for while it is paused, the answers, and messages of other runs.',
})
export class FlowRunInputEntity {
  /** The run that is told. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'flow_run_input_pkey' })
  flowRunId!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'flow_run_input_pkey' })
  key!: string;

  @Column('uuid')
  id!: string;

  /** JSON, in an envelope where codecs or its size ask for one. Of foreign clients: whatever they sent. */
  @Column('text')
  value!: string;

  /** Who sent it: `prefect.flow-run.<id>` where a run did. */
  @Column('text', { nullable: true })
  sender!: string | null;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  created!: Instant;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  updated!: Instant;
}
