import type { Instant } from '@nestor/core';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn, PrimaryInstantColumn } from '../../persistence/columns/instant.column.js';

/** One line a run logged. Partitioned by `timestamp`. */
@Entity('log')
@Index('log_flow_run_idx', ['flowRunId', 'timestamp'])
export class LogEntity {
  @PrimaryInstantColumn({ primaryKeyConstraintName: 'log_pkey' })
  timestamp!: Instant;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'log_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  /** The logger. */
  @Column('text')
  name!: string;

  /** 10 debug, 20 info, 30 warning, 40 error, 50 critical: the numbers of the HTTP contract. */
  @Column('smallint')
  level!: number;

  @Column('text')
  message!: string;

  @Column('uuid', { nullable: true })
  flowRunId!: string | null;

  @Column('uuid', { nullable: true })
  taskRunId!: string | null;
}
