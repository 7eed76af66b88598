import type { Instant } from '@nestor/core';
import { Entity, PrimaryColumn } from 'typeorm';
import { PrimaryInstantColumn } from '../../persistence/columns/instant.column.js';
import { StateColumns } from '../state-columns.js';

/** One element of the history of a task run. Partitioned by `timestamp`. */
@Entity('task_run_state')
export class TaskRunStateEntity extends StateColumns {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'task_run_state_pkey' })
  taskRunId!: string;

  @PrimaryInstantColumn({ primaryKeyConstraintName: 'task_run_state_pkey' })
  timestamp!: Instant;
}
