import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** An outcome that is remembered across runs, or the lock of who is about to make it. */
@Entity('task_cache')
@Index('task_cache_expiry_idx', ['expiresAt'], { where: 'expires_at is not null' })
export class TaskCacheEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'task_cache_pkey' })
  app!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'task_cache_pkey' })
  key!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  /** Encoded. */
  @Column('json', {
    nullable: true,
    comment: 'Null while nothing is remembered yet: then the row is a lock alone.',
  })
  result!: string | null;

  @Column('uuid', { nullable: true })
  taskRunId!: string | null;

  @InstantColumn({ nullable: true })
  expiresAt!: Instant | null;

  @Column('uuid', {
    nullable: true,
    comment:
      'The process that makes the outcome, for as long as it holds the lock; it is free when that process is dead.',
  })
  processId!: string | null;

  @Column('uuid', { nullable: true, comment: 'The task run, or the transaction, that holds the lock.' })
  holderId!: string | null;
}
