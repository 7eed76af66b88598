import type { Instant, StateType } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { newsOfRuns } from '../fair-lines/fair-line-statements.js';
import { timeAhead } from '../time-ahead.js';
import type { DeploymentScheduleEntity } from './deployment-schedule.entity.js';

/** A schedule of which some run may have its turn. */
export type ScheduleWithTurn = Pick<DeploymentScheduleEntity, 'id' | 'overlap'>;

/** A run of a schedule that has not ended. */
export interface OpenRun {
  readonly id: string;
  readonly name: string;
  readonly stateType: StateType;
  readonly awaitsTurn: boolean;
  readonly autoScheduled: boolean;
  readonly isDue: boolean;
  readonly dueAt: Instant;
}

/** Whose turn it is among the runs of schedules that let no two go on at once. */
@Injectable()
export class ScheduleTurnsRepository {
  private readonly schema: string;
  private readonly lockStatement: PreparedStatement;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
    this.lockStatement = preparedStatement('lock_schedule_with_turn', lockWithTurn(this.schema));
  }

  /**
   * Locks a schedule of which a run may have its turn, the one that waits longest first; passes over those that somebody else
   * has. Rides `deployment_schedule_turn_idx`.
   *
   * @param urgent those that are looked at whether or not it is time.
   */
  async lockNext(tx: Tx, app: string, urgent: readonly string[], leadUs: number): Promise<ScheduleWithTurn | null> {
    const [row] = await tx.query<ScheduleWithTurn>(this.lockStatement, [app, leadUs, urgent]);
    return row ?? null;
  }

  /** The runs of a schedule that have not ended, in the order in which they are due. Rides `flow_run_schedule_idx`. */
  openRuns(tx: Tx, scheduleId: string, leadUs: number): Promise<OpenRun[]> {
    return tx.query(
      `select r.id, r.name, r.state_type as "stateType", r.awaits_turn as "awaitsTurn", r.auto_scheduled as "autoScheduled",
              coalesce(r.next_scheduled_start_time <= ${timeAhead('$2')}, true) as "isDue",
              r.next_scheduled_start_time as "dueAt"
         from ${this.schema}.flow_run r
        where r.schedule_id = $1 and r.state_type in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')
        order by r.next_scheduled_start_time, r.id`,
      [scheduleId, leadUs],
    );
  }

  /** Lets runs be claimed, which is no change of their states. Those that have keys join their lines. */
  async release(tx: Tx, runIds: readonly string[]): Promise<void> {
    await tx.query(
      `with released as (
         update ${this.schema}.flow_run r set awaits_turn = false, updated = clock_timestamp()
          where r.id = any($1::uuid[]) and r.awaits_turn and r.state_type = 'SCHEDULED'
         returning r.*
       )
       ${newsOfRuns(this.schema, 'released')}`,
      [runIds],
    );
  }

  /** Says when to look at a schedule that is locked the next time: at a time, or after so many milliseconds; else never. */
  async setNextTurn(tx: Tx, id: string, at: string | null, afterMs: number | null, leadUs: number): Promise<void> {
    await tx.query(
      `update ${this.schema}.deployment_schedule
          set turn_at = least($2::timestamptz, ${timeAhead('$4')} + $3::float8 * interval '1 millisecond') where id = $1`,
      [id, at, afterMs, leadUs],
    );
  }

  /** Milliseconds until a schedule is to be looked at; `null` when none is. */
  async nextTurnInMs(tx: Tx, app: string, leadUs: number): Promise<number | null> {
    const rows = await tx.query<{ ms: number | null }>(nextTurn(this.schema), [app, leadUs]);
    return rows[0]?.ms ?? null;
  }

  /** The same as a {@link Look}. */
  lookForTurn(app: string, leadUs: number): Look {
    return { text: nextTurn(this.schema), parameters: [app, leadUs], finds: 'ms' };
  }
}

const nextTurn = (schema: string): string => `
  select extract(epoch from min(s.turn_at) - (${timeAhead('$2')}))::float8 * 1000 as ms
    from ${schema}.deployment_schedule s where s.app = $1 and s.turn_at is not null`;

const lockWithTurn = (schema: string): string => `
  select s.id, s.overlap
    from ${schema}.deployment_schedule s
   where s.app = $1 and s.turn_at is not null and (s.turn_at <= ${timeAhead('$2')} or s.id = any($3::uuid[]))
   order by s.turn_at
   limit 1
     for update skip locked`;
