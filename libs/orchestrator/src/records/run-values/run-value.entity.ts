import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** Something a run drew from the world outside its tasks, such as the time. Partitioned by `flow_run_id`. */
@Entity('run_value', {
  comment:
    'What a run drew from the world outside its tasks, such as the time: drawn once, the same again when it resumes.',
})
export class RunValueEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'run_value_pkey' })
  flowRunId!: string;

  /** Where in the run it was drawn, and how often before. */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'run_value_pkey' })
  key!: string;

  /** Encoded. */
  @Column('json')
  value!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;
}
