import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** A flow by name: what its runs, wherever they ran, have in common. */
@Entity('flow')
@Unique('flow_name_key', ['name'])
export class FlowEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'flow_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('text')
  name!: string;

  @Column('jsonb', { default: () => "'[]'" })
  tags!: string[];

  @Column('jsonb', { default: () => "'{}'" })
  labels!: Record<string, string | number | boolean>;
}
