import type { Instant } from '@nestor/core';
import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** The hooks of one state that a run has entered, until they have been called. */
@Entity('owed_hooks', { comment: 'The hooks of states that runs have entered, until they have been called.' })
@Check('owed_hooks_of_flow_or_task_check', '(flow_id is null) <> (task_key is null)')
export class OwedHooksEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'owed_hooks_pkey' })
  stateId!: string;

  @Column('uuid')
  runId!: string;

  /** The application whose processes may call them. */
  @Column('text')
  app!: string;

  /** Of a flow run. */
  @Column('uuid', { nullable: true })
  flowId!: string | null;

  /** Of a task run. */
  @Column('text', { nullable: true })
  taskKey!: string | null;

  /** Of a task run, which has them nowhere else; encoded. */
  @Column('json', { nullable: true })
  arguments!: string | null;

  /** The process that calls them; `null` when any may. */
  @Column('uuid', { nullable: true })
  processId!: string | null;

  /** Since when they are called by a process that did not write them. */
  @InstantColumn({ nullable: true })
  claimedAt!: Instant | null;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  created!: Instant;
}
