import type { Instant } from '@nestor/core';
import { Check, Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** A flow that is made to run on its own: by schedules, from elsewhere, in a work pool. */
@Entity('deployment')
@Unique('deployment_flow_name_key', ['flowId', 'name'])
@Check('deployment_status_check', `status in ('READY', 'NOT_READY')`)
@Check('deployment_paused_reason_check', `paused_reason in ('asked', 'removed', 'away')`)
@Index('deployment_app_idx', ['app', 'id'])
@Index('deployment_name_idx', ['name', 'id'])
@Index('deployment_work_queue_idx', ['workQueueId', 'id'], { where: 'work_queue_id is not null' })
export class DeploymentEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'deployment_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('uuid')
  flowId!: string;

  /** The application whose processes make its runs. */
  @Column('text', { default: 'default' })
  app!: string;

  @Column('text')
  name!: string;

  @Column('text', { nullable: true })
  version!: string | null;

  @Column('text', { nullable: true })
  description!: string | null;

  @Column('boolean', {
    default: false,
    comment:
      'Declared in code: processes of its app reconcile it when they start, and pause it once the code has it no more.',
  })
  managed!: boolean;

  /** Nothing is scheduled while it is. */
  @Column('boolean', { default: false })
  paused!: boolean;

  @Column('text', {
    nullable: true,
    comment:
      'asked: somebody paused it; removed: it went out of the code, and goes on when it comes back. away: nobody serves it; it goes on when somebody does. Null while not paused.',
  })
  pausedReason!: 'asked' | 'removed' | 'away' | null;

  @Column('jsonb', { default: () => "'[]'" })
  tags!: string[];

  @Column('jsonb', { default: () => "'{}'" })
  labels!: Record<string, string | number | boolean>;

  /** Encoded, by name: what runs are called with unless they say otherwise. */
  @Column('json', { default: () => "'{}'" })
  parameters!: string;

  @Column('jsonb', { nullable: true })
  parameterOpenapiSchema!: Record<string, unknown> | null;

  @Column('boolean', { default: true })
  enforceParameterSchema!: boolean;

  @Column('jsonb', { default: () => "'{}'" })
  jobVariables!: Record<string, unknown>;

  @Column('text', { nullable: true })
  workPoolName!: string | null;

  /** Where its runs wait; without one, any process of the app that has the flow takes them. */
  @Column('uuid', { nullable: true })
  workQueueId!: string | null;

  @Column('text', { nullable: true })
  workQueueName!: string | null;

  @Column('text', { default: 'NOT_READY' })
  status!: 'READY' | 'NOT_READY';

  /** When somebody last looked for its runs. */
  @InstantColumn({ nullable: true })
  lastPolled!: Instant | null;

  /** How many of its runs may go on at once. */
  @Column('integer', { nullable: true })
  concurrencyLimit!: number | null;

  @Column('jsonb', { nullable: true })
  concurrencyOptions!: StoredConcurrencyOptions | null;

  @Column('jsonb', {
    nullable: true,
    comment:
      'Which parameter of its runs is their key, the weights of keys, and what the runs of a key may do at once.',
  })
  fairness!: StoredFairness | null;

  @Column('text', { nullable: true })
  path!: string | null;

  @Column('text', { nullable: true })
  entrypoint!: string | null;

  @Column('jsonb', { nullable: true })
  pullSteps!: unknown;

  @Column('jsonb', {
    nullable: true,
    comment:
      'What its runs are created with, from whoever has the code of the flow; null while nobody has been there who does.',
  })
  empiricalPolicy!: Record<string, unknown> | null;

  @Column('text', { nullable: true })
  flowVersion!: string | null;

  @Column('uuid', { nullable: true })
  storageDocumentId!: string | null;

  @Column('uuid', { nullable: true })
  infrastructureDocumentId!: string | null;

  @Column('jsonb', { nullable: true })
  createdBy!: Record<string, unknown> | null;

  @Column('jsonb', { nullable: true })
  updatedBy!: Record<string, unknown> | null;
}

/** What becomes of a run that finds the limit of its deployment used up; with the names that the wire has for it. */
interface StoredConcurrencyOptions {
  readonly collision_strategy: 'ENQUEUE' | 'CANCEL_NEW' | 'CANCEL_RUNNING' | 'REPLACE_PENDING';
  readonly grace_period_seconds?: number;
}

/** How the runs of a deployment take turns. */
export interface StoredFairness {
  /** Where the key is among the parameters of a run: names, from the outside in, with dots between them. */
  readonly key: string;
  readonly weights: Readonly<Record<string, number>>;
  readonly default_weight: number;
  /** How many runs of a key may go on at once. */
  readonly concurrency: number | null;
  /** How many runs of a key may begin in a time. */
  readonly rate: { readonly limit: number; readonly period_ms: number } | null;
}
