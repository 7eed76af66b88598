import type { Instant } from '@nestor/core';
import { Check, Entity, Index, PrimaryColumn } from 'typeorm';
import { PrimaryInstantColumn } from '../../persistence/columns/instant.column.js';
import { stateTypeCheck } from '../run-columns.js';
import { StateColumns } from '../state-columns.js';

/** One element of the history of a flow run. Partitioned by `timestamp`. */
@Entity('flow_run_state')
@Check('flow_run_state_type_check', stateTypeCheck('type'))
@Index('flow_run_state_id_idx', ['id'])
export class FlowRunStateEntity extends StateColumns {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'flow_run_state_pkey' })
  flowRunId!: string;

  @PrimaryInstantColumn({ primaryKeyConstraintName: 'flow_run_state_pkey' })
  timestamp!: Instant;
}
