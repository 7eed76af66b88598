import type { Instant } from '@nestor/core';
import { Check, Entity, PrimaryColumn } from 'typeorm';
import { PrimaryInstantColumn } from '../../persistence/columns/instant.column.js';
import { stateTypeCheck } from '../run-columns.js';
import { StateColumns } from '../state-columns.js';

/** One element of the history of a task run. Partitioned by `timestamp`. */
@Entity('task_run_state')
@Check('task_run_state_type_check', stateTypeCheck('type'))
export class TaskRunStateEntity extends StateColumns {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'task_run_state_pkey' })
  taskRunId!: string;

  @PrimaryInstantColumn({ primaryKeyConstraintName: 'task_run_state_pkey' })
  timestamp!: Instant;
}
