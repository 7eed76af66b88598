import type { Instant, Schedule } from '@nestor/core';
import type { DeploymentScheduleEntity } from '../../records/deployments/deployment-schedule.entity.js';
import type { DeploymentEntity, StoredFairness } from '../../records/deployments/deployment.entity.js';
import type { ParametersByName, ScheduleCatchUp, ScheduleOverlap } from './deployment-options.js';

/** A schedule as it is. */
export interface ScheduleView {
  readonly id: string;
  readonly slug: string | null;
  readonly schedule: Schedule;
  readonly active: boolean;
  readonly parameters: ParametersByName;
  readonly maxScheduledRuns: number | null;
  readonly startsAt: Instant | null;
  readonly endsAt: Instant | null;
  readonly jitterMs: number;
  readonly overlap: ScheduleOverlap;
  readonly catchUp: ScheduleCatchUp | null;
  readonly catchUpWindowMs: number | null;
}

/** How runs of a deployment take turns. */
export interface FairnessView {
  /** The path of the parameter that is the key of a run. */
  readonly key: string;
  readonly weights: Readonly<Record<string, number>>;
  readonly defaultWeight: number;
  /** How many runs of a key may go on at once; `null`: no limit. */
  readonly concurrency: number | null;
  /** How many runs of a key may begin in a period; `null`: no limit. */
  readonly rate: { readonly limit: number; readonly periodMs: number } | null;
}

/** A deployment as it is. */
export interface DeploymentView extends Pick<
  DeploymentEntity,
  | ('id' | 'created' | 'updated' | 'name' | 'version' | 'description' | 'paused' | 'managed')
  | ('tags' | 'labels' | 'enforceParameterSchema' | 'jobVariables' | 'workPoolName' | 'workQueueName')
  | ('concurrencyLimit' | 'concurrencyOptions' | 'status' | 'lastPolled')
> {
  readonly flowName: string;
  /** Why it is paused: `asked` for, `removed` from the code, or `away`, because nobody serves it; `null` while it is not. */
  readonly pausedReason: DeploymentEntity['pausedReason'];
  readonly parameters: ParametersByName;
  /** What its flow takes, as a JSON schema; `null` when that is not known. */
  readonly parameterSchema: Readonly<Record<string, unknown>> | null;
  /** How its runs take turns; `null`: those that have been due longest go first. */
  readonly fairness: FairnessView | null;
  /** In the order in which they were made. */
  readonly schedules: readonly ScheduleView[];
}

/** @param decoded gives parameters as they are kept. */
export async function deploymentView(
  row: DeploymentEntity,
  flowName: string,
  schedules: readonly DeploymentScheduleEntity[],
  decoded: (stored: string) => unknown,
): Promise<DeploymentView> {
  const { id, created, updated, name, version, description, paused, pausedReason, managed, tags, labels } = row;
  const { enforceParameterSchema, jobVariables, workPoolName, workQueueName } = row;
  const { concurrencyLimit, concurrencyOptions, status, lastPolled } = row;
  return {
    ...{ id, created, updated, flowName, name, version, description, paused, pausedReason, managed, tags, labels },
    ...{ enforceParameterSchema, jobVariables, workPoolName, workQueueName },
    ...{ concurrencyLimit, concurrencyOptions, status, lastPolled },
    fairness: row.fairness && fairnessView(row.fairness),
    parameters: (await decoded(row.parameters)) as ParametersByName,
    parameterSchema: row.parameterOpenapiSchema,
    schedules: await Promise.all(schedules.map((schedule) => scheduleView(schedule, decoded))),
  };
}

function fairnessView({
  key,
  weights,
  default_weight: defaultWeight,
  concurrency,
  rate,
}: StoredFairness): FairnessView {
  return { key, weights, defaultWeight, concurrency, rate: rate && { limit: rate.limit, periodMs: rate.period_ms } };
}

async function scheduleView(
  row: DeploymentScheduleEntity,
  decoded: (stored: string) => unknown,
): Promise<ScheduleView> {
  const { id, slug, active, maxScheduledRuns, startsAt, endsAt, jitterMs, overlap, catchUp, catchUpWindowMs } = row;
  return {
    ...{ id, slug, active, maxScheduledRuns, startsAt, endsAt, jitterMs, overlap, catchUp, catchUpWindowMs },
    schedule: row.schedule as unknown as Schedule,
    parameters: (await decoded(row.parameters)) as ParametersByName,
  };
}
