import { addMs, formatInstant, type Instant, type Schedule } from '@nestor/core';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import type { DeploymentScheduleEntity } from '../../records/deployments/deployment-schedule.entity.js';
import { DeploymentSchedulesRepository } from '../../records/deployments/deployment-schedules.repository.js';
import { ScheduleFillingRepository, type MissedRun } from '../../records/deployments/schedule-filling.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { lastTimeBetween, MISSED_AFTER_MS } from './fill-plan.js';

/**
 * What becomes of runs that schedules had made ahead and that were due while no process of the application was there. Decided
 * when a process starts, before it takes any run: by what their schedules say of missed times, and not at all where they say
 * nothing. Times for which no run had been made by then are decided upon when the schedule is filled, in the same way.
 */
@Injectable()
export class MissedRuns {
  private readonly logger = new Logger(MissedRuns.name);

  constructor(
    private readonly transactions: Transactions,
    private readonly filling: ScheduleFillingRepository,
    private readonly schedules: DeploymentSchedulesRepository,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  async settle(): Promise<void> {
    const { app } = this.settings;
    const { leadUs } = this.clock;
    const dropped = await this.transactions.run(async (tx) => {
      // Others that start at the same moment wait here, and then find that somebody is there.
      const seenAt = await this.filling.lastWatched(tx, app);
      const now = await this.schedules.now(tx, leadUs);
      const count = seenAt === null ? 0 : await this.drop(tx, app, seenAt, now);
      await this.filling.watch(tx, app, 0, leadUs);
      return count;
    });
    if (dropped > 0)
      this.logger.warn(`${dropped} runs were missed while no process was there: their schedules say so.`);
  }

  private async drop(tx: Tx, app: string, seenAt: Instant, now: Instant): Promise<number> {
    const border = addMs(now, -MISSED_AFTER_MS);
    if (seenAt >= border) return 0;
    const rows = await this.filling.lockCatchingUp(tx, app);
    const ids = rows.map(({ id }) => id);
    const missed = await this.filling.missedRuns(tx, ids, formatInstant(seenAt), formatInstant(border));
    const gone = rows.flatMap((row) =>
      notCaughtUp(
        row,
        missed.filter(({ scheduleId }) => scheduleId === row.id),
        now,
      ),
    );
    if (gone.length > 0) await this.filling.deleteMissed(tx, gone);
    return gone.length;
  }
}

/** Those of the missed runs of a schedule that are not to be run, by id. */
function notCaughtUp(row: DeploymentScheduleEntity, missed: readonly MissedRun[], now: Instant): string[] {
  const { catchUp, catchUpWindowMs, filledUntil } = row;
  const windowed = catchUpWindowMs === null ? null : addMs(now, -catchUpWindowMs);
  const isTooOld = ({ time }: MissedRun): boolean => windowed !== null && time <= windowed;
  const border = addMs(now, -MISSED_AFTER_MS);
  switch (catchUp) {
    case 'all':
      return missed.filter(isTooOld).map(({ id }) => id);
    case 'latest': {
      const fillable = { ...row, schedule: row.schedule as unknown as Schedule };
      // A later one, of which no run has been made, will be.
      const isLaterOne = filledUntil !== null && lastTimeBetween(fillable, filledUntil, border) !== null;
      const last = missed.at(-1);
      return missed.filter((run) => isLaterOne || run !== last || isTooOld(run)).map(({ id }) => id);
    }
    default:
      return missed.map(({ id }) => id);
  }
}
