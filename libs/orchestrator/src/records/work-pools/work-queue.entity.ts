import type { Instant } from '@nestor/core';
import { Check, Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';
import type { PoolStatus } from './work-pool.entity.js';

/** A lane of a pool. */
@Entity('work_queue')
@Unique('work_queue_pool_name_key', ['workPoolId', 'name'])
@Unique('work_queue_pool_priority_key', ['workPoolId', 'priority'], { deferrable: 'INITIALLY IMMEDIATE' })
@Check('work_queue_limit_check', 'concurrency_limit >= 0')
@Check('work_queue_status_check', `status in ('READY', 'NOT_READY', 'PAUSED')`)
export class WorkQueueEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'work_queue_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('uuid')
  workPoolId!: string;

  @Column('text')
  name!: string;

  @Column('text', { default: '' })
  description!: string;

  @Column('boolean', { default: false })
  isPaused!: boolean;

  @Column('integer', { nullable: true })
  concurrencyLimit!: number | null;

  @Column('integer', { comment: 'From 1, which goes first, without gaps within the pool.' })
  priority!: number;

  @InstantColumn({ nullable: true })
  lastPolled!: Instant | null;

  @Column('text', { default: 'NOT_READY' })
  status!: PoolStatus;
}
