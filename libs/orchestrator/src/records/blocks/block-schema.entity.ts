import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** The fields that documents of a block type have, as of one state of its class. */
@Entity('block_schema')
@Unique('block_schema_checksum_version_key', ['checksum', 'version'])
@Index('block_schema_type_idx', ['blockTypeId'])
export class BlockSchemaEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'block_schema_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  /** `sha256:` and the hash of the fields. */
  @Column('text')
  checksum!: string;

  /** A JSON schema, with the slug of the type and the names of the secret fields. */
  @Column('jsonb', { default: () => "'{}'" })
  fields!: Record<string, unknown>;

  @Column('jsonb', { default: () => "'[]'" })
  capabilities!: string[];

  @Column('text')
  version!: string;

  @Column('uuid')
  blockTypeId!: string;
}
