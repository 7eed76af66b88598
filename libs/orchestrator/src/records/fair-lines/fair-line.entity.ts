import type { Instant } from '@nestor/core';
import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** The runs of one key that wait in one place. It is there for as long as there are any. */
@Entity('fair_line')
@Check('fair_line_weight_check', 'weight > 0')
@Check('fair_line_awake_check', 'rank is not null or wakes_at is not null')
@Index('fair_line_awake_idx', ['app', 'lane', 'priority', 'rank', 'id'], { where: 'wakes_at is null' })
@Index('fair_line_held_idx', ['app', 'lane', 'priority', 'rank'], {
  where: 'wakes_at is not null and rank is not null',
})
@Index('fair_line_asleep_idx', ['app', 'wakesAt'], { where: 'wakes_at is not null' })
@Index('fair_line_key_idx', ['deploymentId', 'key'], { where: 'deployment_id is not null' })
export class FairLineEntity {
  /** Follows from what it is the line of. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'fair_line_pkey' })
  id!: string;

  @Column('text')
  app!: string;

  @Column('text', { comment: 'The id of the work queue in which its runs wait; empty for those of none.' })
  lane!: string;

  @Column('smallint')
  priority!: number;

  @Column('uuid')
  flowId!: string;

  @Column('uuid', { nullable: true })
  deploymentId!: string | null;

  @Column('text')
  key!: string;

  /** What the latest run that was put there said. */
  @Column('double precision')
  weight!: number;

  /** The lowest goes first. */
  @Column('double precision', { nullable: true })
  rank!: number | null;

  @InstantColumn({
    nullable: true,
    comment:
      'When to look at it again: none of its runs is due before, or its key may do no more (then it keeps its rank).',
  })
  wakesAt!: Instant | null;
}
