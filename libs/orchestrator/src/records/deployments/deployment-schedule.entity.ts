import type { Instant } from '@nestor/core';
import { Check, Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** When a deployment is to run. */
@Entity('deployment_schedule')
@Unique('deployment_schedule_slug_key', ['deploymentId', 'slug'])
@Check('deployment_schedule_overlap_check', `overlap in ('skip', 'buffer_one', 'buffer_all', 'cancel_other', 'allow')`)
@Check('deployment_schedule_catch_up_check', `catch_up in ('none', 'latest', 'all')`)
@Index('deployment_schedule_fill_idx', ['app', 'fillAt'], { where: 'fill_at is not null' })
@Index('deployment_schedule_turn_idx', ['app', 'turnAt'], { where: 'turn_at is not null' })
export class DeploymentScheduleEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'deployment_schedule_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('uuid')
  deploymentId!: string;

  /** That of its deployment: whoever fills schedules looks here alone. */
  @Column('text', { default: 'default' })
  app!: string;

  /** Its name among the schedules of its deployment. */
  @Column('text', { nullable: true })
  slug!: string | null;

  @Column('jsonb')
  schedule!: Record<string, unknown>;

  @Column('boolean', { default: true })
  active!: boolean;

  /** How many runs that are not due yet there may be; `null` for as many as there usually are. */
  @Column('integer', { nullable: true })
  maxScheduledRuns!: number | null;

  /** Encoded, by name: what its runs are called with in place of what the deployment says. */
  @Column('json', { default: () => "'{}'" })
  parameters!: string;

  /** No instants before. */
  @InstantColumn({ nullable: true })
  startsAt!: Instant | null;

  /** No instants from then on. */
  @InstantColumn({ nullable: true })
  endsAt!: Instant | null;

  /** Runs are due up to so many milliseconds after their instants. */
  @Column('bigint', { default: 0 })
  jitterMs!: number;

  @Column('text', { default: 'allow' })
  overlap!: 'skip' | 'buffer_one' | 'buffer_all' | 'cancel_other' | 'allow';

  @Column('text', {
    nullable: true,
    comment:
      'What becomes of times that were missed; null: runs that had been made by then are late, and no more are made.',
  })
  catchUp!: 'none' | 'latest' | 'all' | null;

  /** Older instants are not caught up with; `null` for no such bound. */
  @Column('bigint', { nullable: true })
  catchUpWindowMs!: number | null;

  @InstantColumn({
    nullable: true,
    comment: 'The last of its instants that a run was made for, or that was passed over; null before the first.',
  })
  filledUntil!: Instant | null;

  @InstantColumn({
    nullable: true,
    comment:
      'When further runs have to be made; null while there is nothing to make: paused, inactive, or without further instants.',
  })
  fillAt!: Instant | null;

  @InstantColumn({
    nullable: true,
    comment: 'When to look which of its runs has its turn; null while none awaits it.',
  })
  turnAt!: Instant | null;
}
