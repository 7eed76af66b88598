import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, type Type } from '@nestjs/common';
import {
  currentRun,
  Flow,
  Task,
  type CronScheduleInput,
  type DeploymentOptions,
  type IntervalScheduleInput,
  type RRuleScheduleInput,
  type ScheduleOptions,
} from '@nestor/orchestrator';
import type { Token } from '../../witness.js';
import { BodyWitness, type Call } from '../body-witness.js';

interface Tick {
  readonly schedule: number;
}

/** Of so many schedules each is of one deployment. */
const PER_DEPLOYMENT = 8;
/** Of every fourth schedule the runs call a task, so that there is something to be replayed. */
const WORKING = 4;
const LONGEST_MS = 100;

/** A flow that is made to run by that many schedules, each of which fires every second until then. */
export function scheduledFlows(schedules: number, endsAt: number): Type {
  @Injectable()
  class ScheduledFlows {
    constructor(private readonly witness: BodyWitness) {}

    @Flow({ name: 'tick', deployments: deploymentsOf(schedules, endsAt) })
    async tick({ schedule }: Tick): Promise<Token[]> {
      await this.witness.flowHasBegun();
      return schedule % WORKING === 0 ? [await this.work({ step: 'work' }, (schedule * 7) % LONGEST_MS)] : [];
    }

    @Task()
    async work(call: Call, ms: number): Promise<Token> {
      return this.witness.task(call, () => pause(ms, undefined, { signal: currentRun().signal }));
    }
  }
  return ScheduledFlows;
}

function deploymentsOf(schedules: number, endsAt: number): DeploymentOptions<Tick>[] {
  return Array.from({ length: Math.ceil(schedules / PER_DEPLOYMENT) }, (_, index) => ({
    name: `deployment-${index}`,
    schedules: Array.from({ length: Math.min(PER_DEPLOYMENT, schedules - index * PER_DEPLOYMENT) }, (__, n) =>
      scheduleOf(index * PER_DEPLOYMENT + n, endsAt),
    ),
  }));
}

/**
 * One that fires every second, in one of the three ways in which that can be said. Of some few runs are made ahead, so that
 * they are soon behind when nobody is there; those of others are not all due at once.
 */
function scheduleOf(schedule: number, endsAt: number): ScheduleOptions<Tick> {
  return {
    ...everySecond(schedule),
    slug: `schedule-${schedule}`,
    parameters: { schedule },
    endsAt: new Date(endsAt),
    catchUp: 'all',
    catchUpWindow: '1h',
    ...(schedule % 5 === 0 && { maxScheduledRuns: 5 }),
    ...(schedule % 7 === 0 && { jitter: '800ms' }),
  };
}

function everySecond(schedule: number): CronScheduleInput | IntervalScheduleInput | RRuleScheduleInput {
  switch (schedule % 4) {
    case 0:
      return { interval: '1s' };
    case 1:
      return { rrule: 'FREQ=SECONDLY' };
    default:
      return { cron: '* * * * * *' };
  }
}
