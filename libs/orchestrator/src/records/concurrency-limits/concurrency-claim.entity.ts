import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

const OF_A_FLOW_RUN = 'process_id is null and task_run_id is null and flow_run_id is not null';

/** Who holds slots, or waits for them. */
@Entity('concurrency_claim', { comment: 'Who holds slots, or waits for them, of one limit or several at once.' })
@Index('concurrency_claim_process_idx', ['processId'], { where: 'process_id is not null' })
@Index('concurrency_claim_expiry_idx', ['expiresAt'], { where: 'expires_at is not null' })
@Index('concurrency_claim_flow_run_idx', ['flowRunId'], { unique: true, where: OF_A_FLOW_RUN })
@Index('concurrency_claim_granted_run_idx', ['grantedAt'], { where: `${OF_A_FLOW_RUN} and granted_at is not null` })
export class ConcurrencyClaimEntity {
  /** Also the id of its lease. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'concurrency_claim_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  created!: Instant;

  /** Of the limits as they were when it was made. */
  @Column('uuid', { array: true })
  limitIds!: string[];

  /** Of each limit. */
  @Column('integer')
  slots!: number;

  /** Whether its slots come back by decay alone. */
  @Column('boolean', { default: false })
  isRate!: boolean;

  /** `null` while it waits. */
  @InstantColumn({ nullable: true })
  grantedAt!: Instant | null;

  @Column('uuid', {
    nullable: true,
    comment:
      'The process whose code it is, with which the claim ends; null for a claim of a flow run or under a lease.',
  })
  processId!: string | null;

  @Column('uuid', { nullable: true })
  flowRunId!: string | null;

  @Column('uuid', { nullable: true })
  taskRunId!: string | null;

  /** `null` while it waits: it ends with its process then. */
  @InstantColumn({ nullable: true, comment: 'When a claim under a lease ends that nobody renews.' })
  expiresAt!: Instant | null;

  /** What a foreign client says of itself. */
  @Column('jsonb', { nullable: true })
  holder!: Record<string, unknown> | null;

  @Column('double precision', {
    nullable: true,
    comment: 'How long a claim under a lease holds from when it is granted, unless it is renewed.',
  })
  leaseMs!: number | null;
}
