import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** What has become of lines since somebody last took runs from them: they have new runs, or may do more. */
@Entity('fair_news', {
  comment:
    'Lines that have new runs; and, without a line, keys of deployments (all of them where it is null) that may do more.',
})
@Index('fair_news_app_idx', ['app', 'id'])
export class FairNewsEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'fair_news_pkey',
  })
  id!: number;

  @Column('text')
  app!: string;

  /** The line that has a new run; `null`: keys of the deployment may do more. */
  @Column('uuid', { nullable: true })
  lineId!: string | null;

  @Column('text', { nullable: true })
  lane!: string | null;

  @Column('smallint', { nullable: true })
  priority!: number | null;

  @Column('uuid', { nullable: true })
  flowId!: string | null;

  @Column('uuid', { nullable: true })
  deploymentId!: string | null;

  @Column('text', { nullable: true })
  key!: string | null;

  @Column('double precision', { nullable: true })
  weight!: number | null;

  @InstantColumn({ nullable: true })
  dueAt!: Instant | null;
}
