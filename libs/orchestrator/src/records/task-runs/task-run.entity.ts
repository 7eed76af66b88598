import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';
import { RunColumns } from '../run-columns.js';
import type { TaskInputs } from './task-inputs.js';

/** One execution of a task. Partitioned by `id`. */
@Entity('task_run')
@Index('task_run_flow_run_idx', ['flowRunId', 'id'])
@Index('task_run_process_idx', ['processId', 'id'], { where: 'process_id is not null' })
export class TaskRunEntity extends RunColumns {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'task_run_pkey' })
  id!: string;

  /** `null` when the task was called outside any flow. */
  @Column('uuid', { nullable: true })
  flowRunId!: string | null;

  /** The task run whose body called this one. */
  @Column('uuid', { nullable: true })
  parentTaskRunId!: string | null;

  /** Which task: its name, qualified by its provider. */
  @Column('text')
  taskKey!: string;

  /** Which call of the task within its run; with `taskKey` this is what a replayed call is recognised by. */
  @Column('text')
  dynamicKey!: string;

  @Column('text', { nullable: true })
  taskVersion!: string | null;

  @Column('text', { nullable: true })
  cacheKey!: string | null;

  @InstantColumn({ nullable: true })
  cacheExpiration!: Instant | null;

  /** The attempt of the flow run in which this run was last started. */
  @Column('integer', { default: 0 })
  flowRunRunCount!: number;

  @Column('jsonb', { default: () => "'{}'" })
  taskInputs!: TaskInputs;

  /** Whether the run was restarted from here or from an earlier task run, so that this record is not replayed. */
  @Column('boolean', {
    default: false,
    comment: 'The run was restarted from this task run or an earlier one: what it recorded is not replayed.',
  })
  superseded!: boolean;

  /** The id of its first state, when the history of a run that succeeded at once is in this row: see view `task_run_history`. */
  @Column('uuid', {
    nullable: true,
    comment:
      'Not null where the history is brief: Pending, Running and Completed, whose rows task_run_state does not have.',
  })
  pendingStateId!: string | null;

  /** The id of its second state, then. */
  @Column('uuid', { nullable: true })
  runningStateId!: string | null;

  /** Which process executes a run outside any flow run, until it has ended. */
  @Column('uuid', {
    nullable: true,
    comment: 'The process that executes a task run outside any flow run, until it has ended; null for all others.',
  })
  processId!: string | null;
  /** What a background task is called with, encoded; `null` for any other. */
  @Column('json', {
    nullable: true,
    comment:
      'What a background task is called with; null for a task that was called directly, whose caller has its arguments.',
  })
  parameters!: string | null;
}
