import type { Instant } from '@nestor/core';
import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';
import { ConcurrencyClaimEntity } from './concurrency-claim.entity.js';
import { ConcurrencyLimitEntity } from './concurrency-limit.entity.js';

/** One slot of a limit that is in use. */
@Entity('concurrency_slot')
@Index('concurrency_slot_claim_idx', ['claimId'])
export class ConcurrencySlotEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'concurrency_slot_pkey' })
  @ForeignKey(() => ConcurrencyLimitEntity, { name: 'concurrency_slot_limit_fkey', onDelete: 'CASCADE' })
  limitId!: string;

  /** From 1; the lowest that was free. */
  @PrimaryColumn('integer', { primaryKeyConstraintName: 'concurrency_slot_pkey' })
  number!: number;

  @Column('uuid')
  @ForeignKey(() => ConcurrencyClaimEntity, { name: 'concurrency_slot_claim_fkey', onDelete: 'CASCADE' })
  claimId!: string;

  @InstantColumn()
  takenAt!: Instant;
}
