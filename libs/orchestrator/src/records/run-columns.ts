import type { Instant, StateType } from '@nestor/core';
import { Column } from 'typeorm';
import { InstantColumn } from '../persistence/columns/instant.column.js';

/** What rows of flow runs and of task runs have in common: the current state and what follows from the history. */
export abstract class RunColumns {
  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('text')
  name!: string;

  @Column('jsonb', { default: () => "'{}'" })
  empiricalPolicy!: StoredPolicy;

  @Column('jsonb', { default: () => "'[]'" })
  tags!: string[];

  @Column('jsonb', { default: () => "'{}'" })
  labels!: Record<string, string | number | boolean>;

  /** The encoded outcome: what the method returned or, of a failed run, threw. */
  @Column('json', { nullable: true })
  result!: string | null;

  @Column('uuid', { nullable: true })
  stateId!: string | null;

  @Column('text', { nullable: true })
  stateType!: StateType | null;

  @Column('text', { nullable: true })
  stateName!: string | null;

  @InstantColumn({ nullable: true })
  stateTimestamp!: Instant | null;

  @Column('integer', { default: 0 })
  runCount!: number;

  @InstantColumn({ nullable: true })
  expectedStartTime!: Instant | null;

  @InstantColumn({ nullable: true })
  nextScheduledStartTime!: Instant | null;

  @InstantColumn({ nullable: true })
  startTime!: Instant | null;

  @InstantColumn({ nullable: true })
  endTime!: Instant | null;

  /** Microseconds in `RUNNING`, of the visits that are over. */
  @Column('bigint', { default: 0 })
  totalRunTimeUs!: number;
}

/** The policy of a run as its row holds it; fields that are absent have their default. */
interface StoredPolicy {
  readonly retries?: number;
  readonly retryDelaysMs?: readonly number[];
  readonly resuming?: boolean;
  readonly pauseKeys?: readonly string[];
  readonly retryType?: 'in_process' | 'reschedule' | null;
  readonly recoveries?: number;
  readonly maxRecoveries?: number;
  readonly isFork?: boolean;
}

/** The condition that a column holds a state type, as the migrations write it. */
export function stateTypeCheck(column: string): string {
  return `${column} in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')`;
}
