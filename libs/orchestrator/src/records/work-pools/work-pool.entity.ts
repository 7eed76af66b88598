import type { BaseJobTemplate, Instant } from '@nestor/core';
import { Check, Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** Whether somebody serves a pool or a queue, or it is paused. */
export type PoolStatus = 'READY' | 'NOT_READY' | 'PAUSED';

/** Where runs wait for workers of one type. */
@Entity('work_pool')
@Unique('work_pool_name_key', ['name'])
@Check('work_pool_limit_check', 'concurrency_limit >= 0')
@Check('work_pool_status_check', `status in ('READY', 'NOT_READY', 'PAUSED')`)
export class WorkPoolEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'work_pool_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('text')
  name!: string;

  /** Which workers serve it: `nest`, or that of a class of your own. */
  @Column('text')
  type!: string;

  @Column('text', { nullable: true })
  description!: string | null;

  @Column('jsonb', { default: () => "'{}'" })
  baseJobTemplate!: Partial<BaseJobTemplate>;

  @Column('boolean', { default: false })
  isPaused!: boolean;

  @Column('integer', { nullable: true })
  concurrencyLimit!: number | null;

  @Column('uuid')
  defaultQueueId!: string;

  @Column('text', { default: 'NOT_READY' })
  status!: PoolStatus;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  lastTransitionedStatusAt!: Instant;

  @Column('uuid', { nullable: true })
  lastStatusEventId!: string | null;

  @Column('jsonb', { default: () => "'{}'" })
  storageConfiguration!: Record<string, unknown>;
}
