import { Injectable } from '@nestjs/common';
import type { DeploymentScheduleEntity } from '../../records/deployments/deployment-schedule.entity.js';
import type { ScheduleConfiguration } from '../../records/deployments/deployment-rows.js';
import { DEFAULT_QUEUE } from '../../records/work-pools/work-queues.repository.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { FlowDefinition } from '../registry/definitions.js';
import { ScheduledRuns } from '../scheduling/scheduled-runs.service.js';
import type { WaitingPlace } from '../work-pools/queue-ids.service.js';
import { WorkPools } from '../work-pools/work-pools.service.js';
import { DeploymentParametersError, InvalidDeploymentError } from './deployment-errors.js';
import { checkFairnessKey } from './deployment-fairness.js';
import type { ParametersByName } from './deployment-options.js';
import { partialParameterProblems } from './deployment-parameters.js';
import { MAX_PARAMETER_BYTES, type DeploymentSpec, type ScheduleSpec } from './deployment-spec.js';
import { keptPolicy, type DesiredDeployment, type DesiredSchedule, type KnownSchedule } from './desired-deployment.js';

/** Puts deployments into the form in which they are kept. */
@Injectable()
export class DeploymentForms {
  constructor(
    private readonly payloads: Payloads,
    private readonly runs: ScheduledRuns,
    private readonly pools: WorkPools,
  ) {}

  /**
   * @param definition the flow.
   * @throws {DeploymentParametersError} when its parameters, or those of a schedule, are not those of the flow.
   * @throws {InvalidDeploymentError} when they are too large to be kept, or there is no parameter that is to be the key of runs.
   * @throws {WorkPoolNotFoundError} when there is no work pool of that name.
   * @throws {InvalidJobVariablesError} when its variables do not fit the template of the pool.
   * @throws {InvalidWorkPoolError} when a queue cannot have that name.
   * @throws {UnserialisableValueError} when they have no form in which they could be kept.
   */
  async desired(spec: DeploymentSpec, definition: FlowDefinition): Promise<DesiredDeployment> {
    const deployment = `${definition.name}/${spec.name}`;
    const schema = definition.parameters.schema as unknown as Record<string, unknown>;
    const flow = this.runs.flowOf(definition);
    if (spec.enforceParameterSchema) {
      for (const { parameters } of [spec, ...spec.schedules]) {
        const problems = partialParameterProblems(schema, parameters);
        if (problems.length > 0) throw new DeploymentParametersError(deployment, problems);
      }
    }
    if (spec.fairness) checkFairnessKey(spec.fairness, schema, deployment);
    const { encoded, sealed } = await this.kept(spec.parameters, deployment, 'parameters');
    const { workPool } = spec;
    if (workPool) await this.pools.checkJobVariables(workPool.name, spec.jobVariables);
    const place = workPool && (await this.placeIn(workPool.name, workPool.queue));
    return {
      name: spec.name,
      encoded,
      paused: spec.paused,
      configuration: {
        version: spec.version,
        description: spec.description,
        tags: [...spec.tags],
        labels: { ...spec.labels },
        parameters: sealed,
        parameterOpenapiSchema: schema,
        enforceParameterSchema: spec.enforceParameterSchema,
        jobVariables: { ...spec.jobVariables },
        workPoolName: workPool?.name ?? null,
        workQueueId: place?.workQueueId ?? null,
        workQueueName: place?.workQueueName ?? null,
        concurrencyLimit: spec.concurrencyLimit,
        concurrencyOptions: spec.concurrencyOptions,
        fairness: spec.fairness,
        empiricalPolicy: keptPolicy(flow.policy),
        flowVersion: flow.version,
      },
      schedules: await Promise.all(spec.schedules.map((schedule) => this.desiredSchedule(schedule, deployment))),
    };
  }

  /**
   * Where runs of a deployment wait. Looked up each time: runs can be moved that were put into a queue which is gone, but a
   * deployment would go on putting them there.
   *
   * @param queue is made where the pool has none of that name. Default: the default queue.
   * @throws {WorkPoolNotFoundError} when there is no such pool.
   * @throws {InvalidWorkPoolError} when a queue cannot have that name.
   */
  async placeIn(pool: string, queue: string = DEFAULT_QUEUE): Promise<WaitingPlace> {
    return { workQueueId: await this.pools.queueIdFor(pool, queue), workQueueName: queue };
  }

  /** Schedules as they are, in the form in which they are compared. */
  async known(schedules: readonly DeploymentScheduleEntity[]): Promise<KnownSchedule[]> {
    return Promise.all(
      schedules.map(async (row) => {
        const { slug, schedule, active, maxScheduledRuns, parameters, startsAt, endsAt, jitterMs } = row;
        const { overlap, catchUp, catchUpWindowMs } = row;
        const times = { slug, schedule, active, maxScheduledRuns, parameters, startsAt, endsAt, jitterMs };
        const configuration: ScheduleConfiguration = { ...times, overlap, catchUp, catchUpWindowMs };
        return { id: row.id, configuration, encoded: await this.payloads.open(parameters) };
      }),
    );
  }

  /** Parameters that are kept, in the form in which they are compared. */
  opened(stored: string): string | Promise<string> {
    return this.payloads.open(stored);
  }

  private async desiredSchedule(spec: ScheduleSpec, deployment: string): Promise<DesiredSchedule> {
    const { active, schedule, parameters, ...configuration } = spec;
    const { encoded, sealed } = await this.kept(parameters, deployment, `schedules[${spec.slug ?? ''}].parameters`);
    return { encoded, active, configuration: { ...configuration, schedule: { ...schedule }, parameters: sealed } };
  }

  private async kept(
    parameters: ParametersByName,
    deployment: string,
    field: string,
  ): Promise<{ readonly encoded: string; readonly sealed: string }> {
    const encoded = this.payloads.encode(parameters, `${field} of deployment "${deployment}"`);
    const bytes = Buffer.byteLength(encoded);
    if (bytes > MAX_PARAMETER_BYTES) {
      throw new InvalidDeploymentError(deployment, field, `has ${bytes} bytes; ${MAX_PARAMETER_BYTES} are allowed.`);
    }
    return { encoded, sealed: await this.payloads.sealInRow(encoded) };
  }
}
