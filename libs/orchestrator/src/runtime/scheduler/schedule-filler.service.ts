import { formatInstant, jittered, type Instant, type Schedule } from '@nestor/core';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { isPassing } from '../../persistence/connection/postgres-errors.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import {
  DeploymentSchedulesRepository,
  type PlacedSchedule,
} from '../../records/deployments/deployment-schedules.repository.js';
import {
  ScheduleFillingRepository,
  type ScheduleToFill,
} from '../../records/deployments/schedule-filling.repository.js';
import type { WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { WaitingFlowRunsRepository } from '../../records/flow-runs/waiting-flow-runs.repository.js';
import { DeployedRuns, type RunTemplate } from '../deployments/deployed-runs.service.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ScheduledRuns } from '../scheduling/scheduled-runs.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { fillPlan } from './fill-plan.js';

/** How many schedules are filled in a transaction, which others wait for who change one of them. */
const SCHEDULES = 100;

/** Beyond some hundred rows a statement costs the same per row. */
const ROWS = 1_000;

/** One that could not be filled is tried again after this long. */
const POSTPONED_MS = 60_000;

/** Runs that were made of a schedule, and where it stands with that. */
interface Filled {
  readonly runs: readonly WaitingFlowRun[];
  readonly position: PlacedSchedule;
}

/** Makes the runs of schedules that have too few ahead of them. */
@Injectable()
export class ScheduleFiller {
  private readonly logger = new Logger(ScheduleFiller.name);

  constructor(
    private readonly transactions: Transactions,
    private readonly filling: ScheduleFillingRepository,
    private readonly schedules: DeploymentSchedulesRepository,
    private readonly waitingRuns: WaitingFlowRunsRepository,
    private readonly deployed: DeployedRuns,
    private readonly runs: ScheduledRuns,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Gives how many schedules it has dealt with: 0 when none had to be filled, or others are about it. */
  async fillSome(): Promise<number> {
    const { app } = this.settings;
    let locked: readonly string[] = [];
    try {
      return await this.fill(async (tx) => {
        const { leadUs } = this.clock;
        locked = await this.filling.lockDue(tx, { app, leadUs, limit: SCHEDULES });
        return locked;
      });
    } catch (error) {
      if (isPassing(error) || locked.length === 0) throw error;
      for (const id of locked) await this.fillOne(id); // the others are not to wait for the one that the database refuses
      return locked.length;
    }
  }

  private async fillOne(id: string): Promise<void> {
    try {
      await this.fill((tx) => this.filling.lockOne(tx, id));
    } catch (error) {
      if (isPassing(error)) throw error;
      this.logger.error(`Schedule ${id} cannot be filled, and is tried again in a minute: ${String(error)}`);
      await this.transactions.single((tx) => this.filling.postpone(tx, id, POSTPONED_MS, this.clock.leadUs));
    }
  }

  /** Runs and positions in one transaction: what is filled is neither made twice nor forgotten. */
  private async fill(lock: (tx: Tx) => Promise<readonly string[]>): Promise<number> {
    const { count, isSomeDue } = await this.transactions.run(async (tx) => {
      const ids = await lock(tx);
      if (ids.length === 0) return { count: 0, isSomeDue: false };
      const now = await this.schedules.now(tx, this.clock.leadUs);
      const toFill = await this.filling.toFill(tx, ids);
      const templates = new Map<string, Promise<RunTemplate>>();
      const filled = await Promise.all(toFill.map((one) => this.filled(one, now, templates)));
      const runs = filled.flatMap((one) => one.runs);
      for (let first = 0; first < runs.length; first += ROWS) {
        await this.waitingRuns.create(tx, runs.slice(first, first + ROWS));
      }
      await this.schedules.place(
        tx,
        filled.map(({ position }) => position),
      );
      return { count: ids.length, isSomeDue: runs.length > 0 };
    });
    if (isSomeDue) this.runs.announce();
    return count;
  }

  /** Whatever is wrong with one schedule is no matter of the others. */
  private async filled(
    { schedule: row, deployment, flowName }: ScheduleToFill,
    now: Instant,
    templates: Map<string, Promise<RunTemplate>>,
  ): Promise<Filled> {
    try {
      const schedule = row.schedule as unknown as Schedule;
      const { times, filledUntil, fillAt } = fillPlan({ ...row, schedule }, now);
      let template = templates.get(deployment.id);
      if (!template) templates.set(deployment.id, (template = this.deployed.templateOf(deployment, flowName)));
      const runs = await this.deployed.runsOfSchedule(await template, row, times, (time) => ({
        dueAt: jittered(time, row.jitterMs, row.id),
        autoScheduled: true,
      }));
      const turnAt = row.overlap === 'allow' ? null : (runs[0]?.run.nextScheduledStartTime ?? null);
      return { runs, position: { id: row.id, filledUntil, fillAt, turnAt } };
    } catch (error) {
      if (isPassing(error)) throw error;
      const at = formatInstant(now);
      this.logger.error(
        `Schedule ${row.slug ?? row.id} of deployment "${flowName}/${deployment.name}" cannot be filled (${at}), and is tried ` +
          `again in a minute: ${String(error)}`,
      );
      const fillAt = (now + POSTPONED_MS * 1_000) as Instant;
      return { runs: [], position: { id: row.id, filledUntil: row.filledUntil, fillAt, turnAt: null } };
    }
  }
}
