import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** A background task run that waits, is executed, or failed for good. One that completes leaves the queue. */
@Entity('task_queue', {
  comment: 'Background task runs that wait, are executed, or failed for good; a run that completes leaves the queue.',
})
@Index('task_queue_due_idx', ['app', 'taskKey', 'dueAt', 'taskRunId'], {
  where: 'process_id is null and dead_at is null',
})
@Index('task_queue_process_idx', ['processId', 'taskRunId'], { where: 'process_id is not null' })
@Index('task_queue_dead_idx', ['app', 'taskRunId'], { where: 'dead_at is not null' })
@Index('task_queue_key_idx', ['app', 'taskKey', 'key'], {
  unique: true,
  where: 'key is not null and dead_at is null',
})
export class QueuedTaskEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'task_queue_pkey' })
  taskRunId!: string;

  @Column('text')
  app!: string;

  @Column('text')
  taskKey!: string;

  /** Of the runs of a task with the same key one at most waits or is executed. */
  @Column('text', { nullable: true })
  key!: string | null;

  @InstantColumn()
  dueAt!: Instant;

  /** Who executes it; `null` while it waits. */
  @Column('uuid', { nullable: true })
  processId!: string | null;

  /** Grows with every change of holder, so that what an earlier one still writes is told apart. */
  @Column('integer', { default: 0 })
  epoch!: number;

  /** How many processes died while they had it. */
  @Column('integer', { default: 0 })
  recoveries!: number;

  /** Since when it is a dead letter: nobody takes it any more. */
  @InstantColumn({ nullable: true })
  deadAt!: Instant | null;
}
