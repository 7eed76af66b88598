import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** The latest artifact of each key, with a copy of what it says: it stays when the history is dropped. */
@Entity('artifact_collection')
@Unique('artifact_collection_key_key', ['key'])
@Index('artifact_collection_latest_idx', ['latestId'])
export class ArtifactCollectionEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'artifact_collection_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('text')
  key!: string;

  @Column('uuid')
  latestId!: string;

  /** When that one was created: an earlier one, written by a slower process, never takes its place. */
  @InstantColumn()
  latestCreated!: Instant;

  @Column('text', { nullable: true })
  type!: string | null;

  @Column('jsonb', { nullable: true })
  data!: unknown;

  @Column('text', { nullable: true })
  description!: string | null;

  @Column('jsonb', { nullable: true })
  metadata!: Record<string, string> | null;

  @Column('uuid', { nullable: true })
  flowRunId!: string | null;

  @Column('uuid', { nullable: true })
  taskRunId!: string | null;
}
