import type { Instant } from '@nestor/core';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** Where a process takes waiting runs from. */
export interface ServedLanes {
  /** How many runs that waited it executes at a time. */
  readonly limit: number;
  /** Whether it takes runs of no queue. */
  readonly unqueued: boolean;
  readonly pools: readonly {
    readonly name: string;
    /** Which workers it has for it: a pool of another type gives it no runs. Left out by processes with older code. */
    readonly type?: string;
    /** `null`: all. */
    readonly queueNames: readonly string[] | null;
    readonly limit: number;
  }[];
}

/** A loop of a process that has not done for too long what was due. */
export interface LoopBehind {
  /** Which one. */
  readonly loop: string;
  /** Since when what it is to do has been due, in the text form of an instant. */
  readonly since: string;
}

/** A process that executes runs, from its start until it leaves or its runs have been taken over. */
@Entity('process')
export class ProcessEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'process_pkey' })
  id!: string;

  @Column('text')
  app!: string;

  @Column('text')
  host!: string;

  @Column('integer')
  pid!: number;

  @Column('text', { nullable: true })
  buildId!: string | null;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  startedAt!: Instant;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  heartbeatAt!: Instant;

  @Column('boolean', {
    default: false,
    comment:
      'The process holds its advisory lock in a session of its own, so that the lock being free hints at its death.',
  })
  holdsLock!: boolean;

  @Column('uuid', {
    array: true,
    nullable: true,
    comment: 'The flows that its code has; null until it has looked, and of processes with older code.',
  })
  flowIds!: string[] | null;

  @Column('jsonb', {
    nullable: true,
    comment: 'Where it takes waiting runs from, and how many at a time; null where nobody said.',
  })
  serves!: ServedLanes | null;

  @Column('jsonb', {
    nullable: true,
    comment: 'Which of its loops have not done for too long what was due, and since when; null while all have.',
  })
  loopsBehind!: LoopBehind[] | null;

  /** Since when it may write nothing more; `null` while it may. */
  @InstantColumn({ nullable: true })
  fencedAt!: Instant | null;

  @Column('uuid', { nullable: true })
  fencedBy!: string | null;
}
