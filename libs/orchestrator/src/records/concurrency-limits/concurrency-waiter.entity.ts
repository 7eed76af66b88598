import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { ConcurrencyClaimEntity } from './concurrency-claim.entity.js';
import { ConcurrencyLimitEntity } from './concurrency-limit.entity.js';

/** A place in the line of a limit. */
@Entity('concurrency_waiter', {
  comment:
    'The line of each limit: a claim that waits for several limits stands in all of their lines at the same position.',
})
@Index('concurrency_waiter_claim_idx', ['claimId'])
export class ConcurrencyWaiterEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'concurrency_waiter_pkey' })
  @ForeignKey(() => ConcurrencyLimitEntity, { name: 'concurrency_waiter_limit_fkey', onDelete: 'CASCADE' })
  limitId!: string;

  /** Whoever has the lowest waits longest. */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'concurrency_waiter_pkey' })
  position!: number;

  @Column('uuid')
  @ForeignKey(() => ConcurrencyClaimEntity, { name: 'concurrency_waiter_claim_fkey', onDelete: 'CASCADE' })
  claimId!: string;

  @Column('integer')
  slots!: number;
}
