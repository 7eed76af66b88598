import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** A kind of configuration document: what its documents have in common, whatever the version of their fields. */
@Entity('block_type')
@Unique('block_type_slug_key', ['slug'])
export class BlockTypeEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'block_type_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('text')
  name!: string;

  @Column('text')
  slug!: string;

  @Column('text', { nullable: true })
  logoUrl!: string | null;

  @Column('text', { nullable: true })
  documentationUrl!: string | null;

  @Column('text', { nullable: true })
  description!: string | null;

  @Column('text', { nullable: true })
  codeExample!: string | null;

  @Column('boolean', { default: false })
  isProtected!: boolean;
}
