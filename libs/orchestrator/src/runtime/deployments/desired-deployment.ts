import { canonicalText, type FlowRunPolicy } from '@nestor/core';
import type { DeploymentConfiguration, ScheduleConfiguration } from '../../records/deployments/deployment-rows.js';

/** A flow that is deployed, as far as it is known here. */
export interface DeployedFlow {
  readonly id: string;
  readonly name: string;
}

/** A schedule as it is to be. */
export interface DesiredSchedule {
  /** Its parameters in the form in which they are kept. */
  readonly configuration: Omit<ScheduleConfiguration, 'active'>;
  /** Its parameters in the form in which they are compared. */
  readonly encoded: string;
  /** `undefined` leaves it as it is. */
  readonly active: boolean | undefined;
}

/** A deployment as it is to be. */
export interface DesiredDeployment {
  readonly name: string;
  readonly configuration: DeploymentConfiguration;
  readonly encoded: string;
  readonly paused: boolean | undefined;
  readonly schedules: readonly DesiredSchedule[];
}

/** A schedule as it is. */
export interface KnownSchedule {
  readonly id: string;
  readonly configuration: ScheduleConfiguration;
  readonly encoded: string;
}

/** What of a deployment is to be changed. */
interface DeploymentChanges {
  /** The names that the wire has for the fields that differ. */
  readonly fields: readonly string[];
  /** Whether runs that are made already would be made differently now. */
  readonly concernsRuns: boolean;
  /** Whether anything differs at all. What is no configuration but follows from the code has no field that would say so. */
  readonly any: boolean;
}

/** What is to be done about the schedules of a deployment. */
interface ScheduleChanges {
  readonly added: readonly DesiredSchedule[];
  readonly changed: readonly { readonly known: KnownSchedule; readonly desired: DesiredSchedule }[];
  /** `active` alone may differ. */
  readonly kept: readonly { readonly known: KnownSchedule; readonly desired: DesiredSchedule }[];
  readonly removed: readonly KnownSchedule[];
}

const FIELDS = {
  version: 'version',
  description: 'description',
  tags: 'tags',
  labels: 'labels',
  parameterOpenapiSchema: 'parameter_openapi_schema',
  enforceParameterSchema: 'enforce_parameter_schema',
  jobVariables: 'job_variables',
  workPoolName: 'work_pool_name',
  workQueueId: 'work_queue_id',
  workQueueName: 'work_queue_name',
  concurrencyLimit: 'concurrency_limit',
  concurrencyOptions: 'concurrency_options',
  fairness: 'fairness',
} as const satisfies Partial<Record<keyof DeploymentConfiguration, string>>;

const CONCERNS_RUNS: ReadonlySet<string> = new Set([
  ...['version', 'tags', 'labels', 'parameters', 'job_variables'],
  ...['work_pool_name', 'work_queue_id', 'work_queue_name', 'fairness'],
]);

/** @param encoded the parameters that are kept, in the form in which they are compared. */
export function changesOf(
  known: DeploymentConfiguration,
  encoded: string,
  desired: DesiredDeployment,
): DeploymentChanges {
  const { configuration } = desired;
  const fields: string[] = Object.entries(FIELDS).flatMap(([property, field]) => {
    const name = property as keyof typeof FIELDS;
    return isSame(known[name], configuration[name]) ? [] : [field];
  });
  if (encoded !== desired.encoded) fields.push('parameters');
  const hasNewPolicy = !isSame(known.empiricalPolicy, configuration.empiricalPolicy);
  return {
    fields,
    concernsRuns: hasNewPolicy || fields.some((field) => CONCERNS_RUNS.has(field)),
    any: fields.length > 0 || hasNewPolicy || known.flowVersion !== configuration.flowVersion,
  };
}

/** Schedules with a slug are the same when that is the same, others when they say the same. */
export function scheduleChanges(known: readonly KnownSchedule[], desired: readonly DesiredSchedule[]): ScheduleChanges {
  const left = [...known];
  const added: DesiredSchedule[] = [];
  const changed: { known: KnownSchedule; desired: DesiredSchedule }[] = [];
  const kept: { known: KnownSchedule; desired: DesiredSchedule }[] = [];
  for (const one of desired) {
    const { slug } = one.configuration;
    const content = contentOf(one);
    const index = left.findIndex(
      (other) => other.configuration.slug === slug && (slug !== null || contentOf(other) === content),
    );
    const [found] = index < 0 ? [] : left.splice(index, 1);
    if (!found) added.push(one);
    else (contentOf(found) === content ? kept : changed).push({ known: found, desired: one });
  }
  return { added, changed, kept, removed: left };
}

/** Whether the times of a schedule stay the same, whatever else of it changes. */
export function hasSameTimes({ configuration: known }: KnownSchedule, { configuration }: DesiredSchedule): boolean {
  const { schedule, startsAt, endsAt } = configuration;
  return isSame([known.schedule, known.startsAt, known.endsAt], [schedule, startsAt, endsAt]);
}

function contentOf({ configuration, encoded }: KnownSchedule | DesiredSchedule): string | null {
  const { parameters: _, slug: __, active: ___, ...content } = configuration as ScheduleConfiguration;
  return canonicalText({ ...content, encoded });
}

function isSame(one: unknown, other: unknown): boolean {
  return canonicalText(one ?? null) === canonicalText(other ?? null);
}

/** The policy as it is kept with a deployment: what runs of it begin with. */
export function keptPolicy(policy: FlowRunPolicy): Record<string, unknown> {
  return { ...policy };
}
