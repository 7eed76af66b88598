import type { Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { timeAhead } from '../time-ahead.js';
import { DEPLOYMENT_PROPERTIES, SCHEDULE_PROPERTIES } from './deployment-rows.js';
import type { DeploymentScheduleEntity } from './deployment-schedule.entity.js';
import type { DeploymentEntity } from './deployment.entity.js';
import { deleteMadeRuns } from './made-runs-statements.js';
import { selected } from './stored-columns.js';

/** A schedule of which runs are to be made, and what it is a schedule of. */
export interface ScheduleToFill {
  readonly schedule: DeploymentScheduleEntity;
  readonly deployment: DeploymentEntity;
  readonly flowName: string;
}

/** A run of a schedule that was due while nobody was there. */
export interface MissedRun {
  readonly id: string;
  readonly scheduleId: string;
  readonly time: Instant;
}

/** What the scheduler asks of schedules. */
@Injectable()
export class ScheduleFillingRepository {
  private readonly schema: string;
  private readonly lockDueStatement: PreparedStatement;
  private readonly nextFillStatement: PreparedStatement;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
    this.lockDueStatement = preparedStatement('lock_due_schedules', lockDue(this.schema));
    this.nextFillStatement = preparedStatement('next_schedule_fill', nextFill(this.schema));
  }

  /**
   * Locks schedules of which runs have to be made, those first that wait longest; passes over those that somebody else has.
   * Rides `deployment_schedule_fill_idx`.
   */
  async lockDue(tx: Tx, { app, leadUs, limit }: DueSchedules): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(this.lockDueStatement, [app, leadUs, limit]);
    return rows.map(({ id }) => id);
  }

  /**
   * Schedules that are locked, with their deployments as they are now: a statement of its own after the lock, because whoever
   * changes a deployment holds the locks of its schedules, and a statement sees what was committed when it began.
   */
  async toFill(tx: Tx, ids: readonly string[]): Promise<ScheduleToFill[]> {
    const rows = await tx.query<Record<string, unknown>>(
      `select ${selected(SCHEDULE_PROPERTIES, 's')}, f.name as "flowName",
              ${DEPLOYMENT_PROPERTIES.map((one) => selected([one], 'd').replace(/ as "/, ' as "d.')).join(', ')}
         from ${this.schema}.deployment_schedule s
         join ${this.schema}.deployment d on d.id = s.deployment_id
         join ${this.schema}.flow f on f.id = d.flow_id
        where s.id = any($1::uuid[]) order by s.id`,
      [ids],
    );
    return rows.map((row) => {
      const deployment = Object.fromEntries(DEPLOYMENT_PROPERTIES.map((name) => [name, row[`d.${name}`]]));
      return {
        schedule: row as unknown as DeploymentScheduleEntity,
        deployment: deployment as unknown as DeploymentEntity,
        flowName: String(row.flowName),
      };
    });
  }

  /** Locks one schedule, if it still has to be filled and nobody else has it. */
  async lockOne(tx: Tx, id: string): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(
      `select id from ${this.schema}.deployment_schedule where id = $1 and fill_at is not null for update skip locked`,
      [id],
    );
    return rows.map((row) => row.id);
  }

  /** Lets a schedule wait that could not be filled. */
  async postpone(tx: Tx, id: string, ms: number, leadUs: number): Promise<void> {
    await tx.query(
      `update ${this.schema}.deployment_schedule set fill_at = ${timeAhead('$3')} + $2 * interval '1 millisecond'
        where id = $1 and fill_at is not null`,
      [id, ms, leadUs],
    );
  }

  /** Milliseconds until a schedule has to be filled; `null` when none will. Rides `deployment_schedule_fill_idx`. */
  async nextFillInMs(tx: Tx, app: string, leadUs: number): Promise<number | null> {
    const rows = await tx.query<{ ms: number | null }>(this.nextFillStatement, [app, leadUs]);
    return rows[0]?.ms ?? null;
  }

  /** {@link nextFillInMs} as a {@link Look}, and when somebody has to {@link watch}. */
  looksForWork(app: string, everyMs: number, leadUs: number): Look[] {
    const watch = `
      select case when exists (select from ${this.schema}.deployment_schedule where app = $1) then coalesce((
               select (extract(epoch from w.seen_at - (${timeAhead('$3')})) * 1000)::float8 + $2::float8
                 from ${this.schema}.schedule_watch w where w.app = $1), 0) end as ms`;
    return [
      { text: nextFill(this.schema), parameters: [app, leadUs], finds: 'ms' },
      { text: watch, parameters: [app, everyMs, leadUs], finds: 'ms' },
    ];
  }

  /**
   * Notes that somebody looks after the schedules of an application, if it has any, and if nobody has noted it for so long.
   *
   * @returns what {@link nextFillInMs} gives.
   */
  async watch(tx: Tx, app: string, everyMs: number, leadUs: number): Promise<number | null> {
    const [row] = await tx.query<{ ms: number | null }>(
      `with noted as (
         insert into ${this.schema}.schedule_watch as w (app, seen_at)
         select $1, ${timeAhead('$2')} where exists (select from ${this.schema}.deployment_schedule where app = $1)
         on conflict (app) do update set seen_at = excluded.seen_at
           where w.seen_at < excluded.seen_at - $3 * interval '1 millisecond'
       )${nextFill(this.schema)}`,
      [app, leadUs, everyMs],
    );
    return row?.ms ?? null;
  }

  /** When somebody last looked after the schedules of an application; whoever else asks waits until this is dealt with. */
  async lastWatched(tx: Tx, app: string): Promise<Instant | null> {
    const [row] = await tx.query<{ seenAt: Instant }>(
      `select seen_at as "seenAt" from ${this.schema}.schedule_watch where app = $1 for update`,
      [app],
    );
    return row?.seenAt ?? null;
  }

  /** Locks those schedules of an application that say what becomes of missed times. */
  lockCatchingUp(tx: Tx, app: string): Promise<DeploymentScheduleEntity[]> {
    return tx.query(
      `select ${selected(SCHEDULE_PROPERTIES, 's')} from ${this.schema}.deployment_schedule s
        where s.app = $1 and s.catch_up is not null order by s.id for update`,
      [app],
    );
  }

  /** Runs of schedules that nobody has taken and that were due in between, in order. Rides `flow_run_schedule_idx`. */
  missedRuns(tx: Tx, scheduleIds: readonly string[], after: string, before: string): Promise<MissedRun[]> {
    return tx.query(
      `select r.id, r.schedule_id as "scheduleId", r.expected_start_time as time
         from ${this.schema}.flow_run r
        where r.schedule_id = any($1::uuid[]) and r.state_type = 'SCHEDULED' and r.process_id is null
          and r.run_count = 0 and r.auto_scheduled
          and r.next_scheduled_start_time > $2::timestamptz and r.next_scheduled_start_time < $3::timestamptz
        order by r.schedule_id, r.expected_start_time, r.id`,
      [scheduleIds, after, before],
    );
  }

  /** Deletes runs that nobody has taken. */
  async deleteMissed(tx: Tx, ids: readonly string[]): Promise<void> {
    await tx.query(deleteMadeRuns(this.schema, 'r.id = any($1::uuid[])'), [ids]);
  }
}

/** Which schedules are to be filled. */
interface DueSchedules {
  readonly app: string;
  /** See `DatabaseClock.leadUs`. */
  readonly leadUs: number;
  readonly limit: number;
}

const lockDue = (schema: string): string => `
  select s.id
    from ${schema}.deployment_schedule s
   where s.app = $1 and s.fill_at <= ${timeAhead('$2')}
   order by s.fill_at
   limit $3
     for update skip locked`;

const nextFill = (schema: string): string => `
  select extract(epoch from min(s.fill_at) - (${timeAhead('$2')}))::float8 * 1000 as ms
    from ${schema}.deployment_schedule s
   where s.app = $1 and s.fill_at is not null`;
