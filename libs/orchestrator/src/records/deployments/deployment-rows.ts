import { formatInstant, type Instant } from '@nestor/core';
import type { DeploymentScheduleEntity } from './deployment-schedule.entity.js';
import type { DeploymentEntity } from './deployment.entity.js';
import { rowAsJson } from './stored-columns.js';

/** What of a deployment whoever configures it says. */
export type DeploymentConfiguration = Pick<DeploymentEntity, (typeof CONFIGURED)[number]>;

/** What of a schedule whoever configures it says. */
export type ScheduleConfiguration = Pick<DeploymentScheduleEntity, (typeof SCHEDULE_CONFIGURED)[number]>;

/** Where the scheduler stands with a schedule. */
export type SchedulePosition = Pick<DeploymentScheduleEntity, 'filledUntil' | 'fillAt'>;

export const CONFIGURED = [
  ...(['version', 'description', 'tags', 'labels', 'parameters', 'parameterOpenapiSchema'] as const),
  ...(['enforceParameterSchema', 'jobVariables', 'workPoolName', 'workQueueId', 'workQueueName'] as const),
  ...(['concurrencyLimit', 'concurrencyOptions', 'fairness', 'empiricalPolicy', 'flowVersion'] as const),
] satisfies readonly (keyof DeploymentEntity)[];

export const DEPLOYMENT_PROPERTIES = [
  ...(['id', 'created', 'updated', 'flowId', 'app', 'name', 'managed', 'paused', 'pausedReason'] as const),
  ...CONFIGURED,
  ...(['status', 'lastPolled', 'path', 'entrypoint', 'pullSteps', 'storageDocumentId'] as const),
  ...(['infrastructureDocumentId', 'createdBy', 'updatedBy'] as const),
] satisfies readonly (keyof DeploymentEntity)[];

export const SCHEDULE_CONFIGURED = [
  ...(['slug', 'schedule', 'active', 'maxScheduledRuns', 'parameters', 'startsAt', 'endsAt', 'jitterMs'] as const),
  ...(['overlap', 'catchUp', 'catchUpWindowMs'] as const),
] satisfies readonly (keyof DeploymentScheduleEntity)[];

export const SCHEDULE_PROPERTIES = [
  ...(['id', 'created', 'updated', 'deploymentId', 'app'] as const),
  ...SCHEDULE_CONFIGURED,
  ...(['filledUntil', 'fillAt', 'turnAt'] as const),
] satisfies readonly (keyof DeploymentScheduleEntity)[];

/** What a new deployment is besides its configuration. */
export type DeploymentIdentity = Pick<
  DeploymentEntity,
  'id' | 'flowId' | 'app' | 'name' | 'managed' | 'paused' | 'pausedReason' | 'createdBy'
>;

/** The properties that a new deployment is given. */
export const NEW_DEPLOYMENT = [
  ...(['id', 'flowId', 'app', 'name', 'managed', 'paused', 'pausedReason', 'createdBy'] as const),
  ...CONFIGURED,
] as const;

/** The properties that a new schedule is given. */
export const NEW_SCHEDULE = [
  ...(['id', 'deploymentId', 'app'] as const),
  ...SCHEDULE_CONFIGURED,
  ...(['filledUntil', 'fillAt'] as const),
] as const;

export function deploymentAsJson(row: DeploymentConfiguration & Partial<DeploymentIdentity>): string {
  const { parameters, ...rest } = picked(row, NEW_DEPLOYMENT);
  return rowAsJson(rest, { parameters: String(parameters) });
}

export function scheduleAsJson(row: ScheduleConfiguration & SchedulePosition): string {
  const { parameters, ...rest } = picked(row, NEW_SCHEDULE);
  const { startsAt, endsAt, filledUntil, fillAt } = row;
  const times = { startsAt, endsAt, filledUntil, fillAt };
  const texts = Object.fromEntries(Object.entries(times).map(([name, time]) => [name, textOf(time)]));
  return rowAsJson({ ...rest, ...texts }, { parameters: String(parameters) });
}

/** What a row says of these properties, and nothing else that it may hold. */
function picked(row: object, properties: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([property]) => properties.includes(property)));
}

function textOf(time: Instant | null): string | null {
  return time === null ? null : formatInstant(time);
}
