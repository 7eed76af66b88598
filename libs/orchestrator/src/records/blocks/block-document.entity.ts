import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** A configuration document. */
@Entity('block_document', {
  comment:
    'Configuration documents. Secret fields are not in data but in secrets, encrypted, by their place in the document.',
})
@Unique('block_document_type_name_key', ['blockTypeId', 'name'])
@Index('block_document_schema_idx', ['blockSchemaId'])
export class BlockDocumentEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'block_document_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  /** `null` of an anonymous document. */
  @Column('text', { nullable: true })
  name!: string | null;

  /** Everything but the secrets. */
  @Column('jsonb', { default: () => "'{}'" })
  data!: Record<string, unknown>;

  /** By JSON pointer (RFC 6901) what is encrypted, in base64. */
  @Column('jsonb', { default: () => "'{}'" })
  secrets!: Record<string, string>;

  @Column('boolean', { default: false })
  isAnonymous!: boolean;

  @Column('uuid')
  blockTypeId!: string;

  @Column('uuid')
  blockSchemaId!: string;
}
