import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** A named value that runs share and people change. */
@Entity('variable')
@Unique('variable_name_key', ['name'])
export class VariableEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'variable_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('text')
  name!: string;

  @Column('jsonb')
  /** Plain JSON data. */
  value!: unknown;

  @Column('jsonb', { default: () => "'[]'" })
  tags!: string[];
}
