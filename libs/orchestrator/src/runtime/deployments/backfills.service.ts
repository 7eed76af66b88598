import { addMicros, instantOfMicros, jittered, type Instant, type Schedule } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import type { DeploymentScheduleEntity } from '../../records/deployments/deployment-schedule.entity.js';
import { DeploymentSchedulesRepository } from '../../records/deployments/deployment-schedules.repository.js';
import { WaitingFlowRunsRepository } from '../../records/flow-runs/waiting-flow-runs.repository.js';
import { timesBetween } from '../scheduler/fill-plan.js';
import { ScheduleNews } from '../scheduler/schedule-news.service.js';
import { ScheduledRuns } from '../scheduling/scheduled-runs.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { DeployedRuns, keyOfTime, type RunTemplate } from './deployed-runs.service.js';
import { TooManyRunsError } from './deployment-errors.js';

/** A time of a schedule that was asked for, and its run. */
export interface BackfilledTime {
  readonly scheduleId: string;
  readonly time: Instant;
  /** `null` in a preview, where there is none. */
  readonly flowRunId: string | null;
  /** Whether the run was made by this call; in a preview, whether it would be. */
  readonly isNew: boolean;
}

/** Of which times runs are made. */
interface TimeRange {
  readonly from: Instant;
  /** Not among them. */
  readonly to: Instant;
}

/** How many times one call may name. */
const MOST_TIMES = 10_000;
const ROWS = 1_000;

/** Makes runs for given times of schedules, those that are over included. */
@Injectable()
export class Backfills {
  constructor(
    private readonly transactions: Transactions,
    private readonly schedules: DeploymentSchedulesRepository,
    private readonly waitingRuns: WaitingFlowRunsRepository,
    private readonly deployed: DeployedRuns,
    private readonly runs: ScheduledRuns,
    private readonly news: ScheduleNews,
    private readonly clock: DatabaseClock,
  ) {}

  /** @throws {TooManyRunsError} when there are more than 10,000 times in that range. */
  timesOf(
    schedules: readonly DeploymentScheduleEntity[],
    { from, to }: TimeRange,
    deployment: string,
  ): ScheduledTime[] {
    const before = instantOfMicros(from - 1);
    const until = instantOfMicros(to - 1);
    const times = schedules.flatMap((row) => {
      const schedule = { ...row, schedule: row.schedule as unknown as Schedule };
      return timesBetween(schedule, before, until, MOST_TIMES + 1).map((time) => ({ schedule: row, time }));
    });
    if (times.length > MOST_TIMES) {
      throw new TooManyRunsError(deployment, MOST_TIMES, 'ask for a shorter range, several times');
    }
    return times;
  }

  /** Which of the times have a run. */
  async preview(flowId: string, times: readonly ScheduledTime[]): Promise<BackfilledTime[]> {
    const keys = times.map(({ schedule, time }) => keyOfTime(schedule, time));
    const known = keys.length === 0 ? new Map<string, never>() : await this.waitingRuns.findByKeys(flowId, keys);
    return times.map(({ schedule, time }) => {
      const found = known.get(keyOfTime(schedule, time));
      return { scheduleId: schedule.id, time, flowRunId: found?.id ?? null, isNew: !found };
    });
  }

  /**
   * Makes the runs of those times that have none yet; they are due at once, one after the other.
   *
   * @param autoScheduled whether they are runs like those that the scheduler makes, due at their time, and taken back with them.
   */
  async make(
    template: RunTemplate,
    times: readonly ScheduledTime[],
    autoScheduled: boolean,
  ): Promise<BackfilledTime[]> {
    const made = new Set<string>();
    const now = this.clock.now();
    for (let first = 0; first < times.length; first += ROWS) {
      const some = times.slice(first, first + ROWS);
      const runs = await Promise.all(
        some.map(async ({ schedule, time }, index) => {
          const dueAt = autoScheduled ? jittered(time, schedule.jitterMs, schedule.id) : addMicros(now, first + index); // at once, and in order
          const how = { dueAt, autoScheduled };
          return (await this.deployed.runsOfSchedule(template, schedule, [time], () => how))[0];
        }),
      );
      const asked = runs.filter((run) => run !== undefined);
      const there = await this.transactions.single((tx) => this.waitingRuns.create(tx, asked));
      for (const id of there) made.add(id);
    }
    const waits = times.filter(({ schedule }) => schedule.overlap !== 'allow').map(({ schedule }) => schedule.id);
    if (waits.length > 0) await this.transactions.single((tx) => this.schedules.expectTurns(tx, waits));
    this.runs.announce();
    this.news.announce();
    const known = await this.preview(template.flow.id, times);
    return known.map((one) => ({ ...one, isNew: one.flowRunId !== null && made.has(one.flowRunId) }));
  }
}

/** A time of a schedule. */
interface ScheduledTime {
  readonly schedule: DeploymentScheduleEntity;
  readonly time: Instant;
}
