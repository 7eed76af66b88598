import type { Instant } from '@nestor/core';
import { Check, Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** Whoever serves a pool. */
@Entity('worker')
@Unique('worker_pool_name_key', ['workPoolId', 'name'])
@Check('worker_status_check', `status in ('ONLINE', 'OFFLINE')`)
export class WorkerEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'worker_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('uuid')
  workPoolId!: string;

  @Column('text')
  name!: string;

  @Column('uuid', {
    nullable: true,
    comment: 'The process that it is part of; null for one that polls over HTTP.',
  })
  processId!: string | null;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  lastHeartbeatTime!: Instant;

  @Column('integer', { default: 30 })
  heartbeatIntervalSeconds!: number;

  @Column('text', { default: 'ONLINE' })
  status!: 'ONLINE' | 'OFFLINE';

  @Column('jsonb', { default: () => "'{}'" })
  metadata!: Record<string, unknown>;
}
