import { formatInstant, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource, In, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { RowSet } from '../row-set.js';
import { instantParameter } from '../stored-state.js';
import {
  NEW_SCHEDULE,
  scheduleAsJson,
  SCHEDULE_CONFIGURED,
  SCHEDULE_PROPERTIES,
  type ScheduleConfiguration,
  type SchedulePosition,
} from './deployment-rows.js';
import { DeploymentScheduleEntity } from './deployment-schedule.entity.js';
import { deleteMadeRuns, releaseForsaken } from './made-runs-statements.js';
import { columnsOf, selected } from './stored-columns.js';

/** A schedule that is made. */
type NewSchedule = Pick<DeploymentScheduleEntity, 'id' | 'deploymentId' | 'app'> &
  ScheduleConfiguration &
  SchedulePosition;

/** Keeps schedules of deployments, and takes back the runs they have made. */
@Injectable()
export class DeploymentSchedulesRepository {
  private readonly schedules: Repository<DeploymentScheduleEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schedules = dataSource.getRepository(DeploymentScheduleEntity);
    this.schema = schemaOf(dataSource);
  }

  /** In the order in which they were made. */
  of(deploymentIds: readonly string[]): Promise<DeploymentScheduleEntity[]> {
    return this.schedules.find({ where: { deploymentId: In([...deploymentIds]) }, order: { id: 'ASC' } });
  }

  /**
   * Locks the schedules of a deployment against whoever makes runs of them: for those that are doing so this waits, and then
   * sees what they have made.
   */
  lock(tx: Tx, deploymentId: string): Promise<DeploymentScheduleEntity[]> {
    return tx.query(
      `select ${selected(SCHEDULE_PROPERTIES, 's')} from ${this.schema}.deployment_schedule s
        where s.deployment_id = $1 order by s.id for update`,
      [deploymentId],
    );
  }

  async insert(tx: Tx, schedule: NewSchedule): Promise<void> {
    const columns = columnsOf(NEW_SCHEDULE);
    await tx.query(
      `insert into ${this.schema}.deployment_schedule (${columns})
       select ${columns} from json_populate_record(null::${this.schema}.deployment_schedule, $1::json)`,
      [scheduleAsJson(schedule)],
    );
  }

  /** Puts another configuration in the place of that of a schedule that is locked. */
  async configure(tx: Tx, id: string, row: ScheduleConfiguration & SchedulePosition): Promise<void> {
    const columns = columnsOf([...SCHEDULE_CONFIGURED, 'filledUntil', 'fillAt']);
    await tx.query(
      `update ${this.schema}.deployment_schedule
          set (${columns}) =
                (select ${columns} from json_populate_record(null::${this.schema}.deployment_schedule, $2::json)),
              updated = clock_timestamp()
        where id = $1`,
      [id, scheduleAsJson(row)],
    );
  }

  /** Says where the scheduler stands with schedules that are locked. */
  async place(tx: Tx, positions: readonly PlacedSchedule[]): Promise<void> {
    await tx.query(
      `update ${this.schema}.deployment_schedule s
          set filled_until = p.filled_until, fill_at = p.fill_at, turn_at = least(s.turn_at, p.turn_at)
         from ${placed.source(1, 'p')} where s.id = p.id`,
      placed.parameters(positions),
    );
  }

  /**
   * Has it looked at right away which of the runs of these schedules has its turn. Waits for whoever is deleting one of them:
   * of those that are gone by then, the runs await no turn any more.
   */
  async expectTurns(tx: Tx, ids: readonly string[]): Promise<void> {
    await tx.query(
      `update ${this.schema}.deployment_schedule set turn_at = least(turn_at, clock_timestamp()) where id = any($1::uuid[])`,
      [ids],
    );
    await tx.query(releaseForsaken(this.schema), [ids]);
  }

  /** Deletes schedules. Runs of theirs that are left await no turn any more: nobody would give them one. */
  async delete(tx: Tx, ids: readonly string[]): Promise<void> {
    await tx.query(`delete from ${this.schema}.deployment_schedule where id = any($1::uuid[])`, [ids]);
    await tx.query(releaseForsaken(this.schema), [ids]);
  }

  /**
   * Deletes the runs that schedules which are locked have made and that nobody has taken; gives how many there were.
   *
   * @param after only those of times after this one; `null` deletes those that are due as well.
   */
  async takeBack(tx: Tx, scheduleIds: readonly string[], after: Instant | null): Promise<number> {
    if (scheduleIds.length === 0) return 0;
    const condition = `r.schedule_id = any($1::uuid[]) and r.auto_scheduled
      and ($2::timestamptz is null or r.expected_start_time > $2)`;
    return this.deleteRuns(tx, condition, [scheduleIds, after === null ? null : formatInstant(after)]);
  }

  /** Deletes all runs of a deployment that nobody has taken. Rides `flow_run_deployment_idx`. */
  async takeBackAll(tx: Tx, deploymentId: string): Promise<number> {
    return this.deleteRuns(tx, 'r.deployment_id = $1', [deploymentId]);
  }

  /** The database's time, ahead by so many microseconds: see `DatabaseClock.leadUs`. */
  async now(tx: Tx, leadUs: number): Promise<Instant> {
    const [row] = await tx.query<{ now: Instant }>(
      `select clock_timestamp() + $1::bigint * interval '1 microsecond' as now`,
      [leadUs],
    );
    if (!row) throw new Error('The database did not say what time it is.');
    return row.now;
  }

  private async deleteRuns(tx: Tx, condition: string, parameters: readonly unknown[]): Promise<number> {
    const rows = await tx.query<{ count: number }>(deleteMadeRuns(this.schema, condition), parameters);
    return rows[0]?.count ?? 0;
  }
}

/** Where the scheduler stands with a schedule. */
export interface PlacedSchedule extends SchedulePosition {
  readonly id: string;
  /** When the first of its new runs is due that await their turn; `null` when none does. */
  readonly turnAt: Instant | null;
}

const placed = new RowSet<PlacedSchedule>([
  ['id', 'uuid', ({ id }) => id],
  ['filled_until', 'timestamptz', ({ filledUntil }) => instantParameter(filledUntil)],
  ['fill_at', 'timestamptz', ({ fillAt }) => instantParameter(fillAt)],
  ['turn_at', 'timestamptz', ({ turnAt }) => instantParameter(turnAt)],
]);
