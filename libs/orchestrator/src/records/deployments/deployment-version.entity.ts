import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** What a deployment was configured with from one change to the next. */
@Entity('deployment_version', {
  comment: 'What deployments were configured with, one row for each change; the highest number is what holds.',
})
@Unique('deployment_version_number_key', ['deploymentId', 'number'])
export class DeploymentVersionEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'deployment_version_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @Column('uuid')
  deploymentId!: string;

  /** Counts from 1. */
  @Column('integer')
  number!: number;

  /** The version that its author gave it. */
  @Column('text', { nullable: true })
  version!: string | null;

  /** The configuration as a whole, schedules included. */
  @Column('jsonb')
  configuration!: Record<string, unknown>;

  @Column('jsonb', { nullable: true })
  createdBy!: Record<string, unknown> | null;
}
