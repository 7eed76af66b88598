import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** Something that was published for people to look at; all that were, with the same key or without one. Partitioned by `id`. */
@Entity('artifact')
@Index('artifact_key_idx', ['key', 'created', 'id'])
@Index('artifact_flow_run_idx', ['flowRunId'])
@Index('artifact_task_run_idx', ['taskRunId'])
export class ArtifactEntity {
  /** In the millisecond of the id of its run. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'artifact_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('text', { nullable: true })
  key!: string | null;

  /** `markdown` (links too), `table`, `image`, `progress`, and whatever foreign clients publish. */
  @Column('text', { nullable: true })
  type!: string | null;

  /** A text, of a table the JSON text of its rows; a number for progress. */
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
