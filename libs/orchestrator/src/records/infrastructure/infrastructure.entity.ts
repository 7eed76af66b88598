import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** What was started for a run and goes on without the process that started it, until it has ended. */
@Entity('infrastructure', {
  comment: 'What was started for runs and outlives its worker, until it has ended: also the orders to end it.',
})
@Unique('infrastructure_run_key', ['flowRunId', 'leaseEpoch'])
@Index('infrastructure_type_idx', ['app', 'type', 'id'], { where: 'dead_at is null' })
@Index('infrastructure_dead_idx', ['app', 'id'], { where: 'dead_at is not null' })
export class InfrastructureEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'infrastructure_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  created!: Instant;

  @Column('text')
  app!: string;

  @Column('uuid')
  flowRunId!: string;

  @Column('integer', {
    comment:
      'The epoch under which it was started. Its run needs it no more once that has ended, or has gone on beyond the next epoch.',
  })
  leaseEpoch!: number;

  @Column('text', { nullable: true })
  workPoolName!: string | null;

  /** The type of the worker that started it. */
  @Column('text')
  type!: string;

  /** How it is called, by that worker. */
  @Column('text')
  identifier!: string;

  @Column('uuid', {
    nullable: true,
    comment: 'The process of its worker, which ends it as long as that lives; null when that has lost sight of it.',
  })
  processId!: string | null;

  /** How often somebody has tried to end it in place of that. */
  @Column('integer', { default: 0 })
  attempts!: number;

  @InstantColumn({
    nullable: true,
    comment: 'Not to be tried to end before then: somebody is about it, or has failed. Null before the first attempt.',
  })
  dueAt!: Instant | null;

  /** Why the last attempt failed. */
  @Column('text', { nullable: true })
  error!: string | null;

  @InstantColumn({
    nullable: true,
    comment: 'Since when nobody tries to end it any more; null while somebody would.',
  })
  deadAt!: Instant | null;
}
