import { formatInstant, type FlowRunPolicy, type Instant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { DeploymentScheduleEntity } from '../../records/deployments/deployment-schedule.entity.js';
import type { DeploymentEntity } from '../../records/deployments/deployment.entity.js';
import type { RunCreator, RunOrigin, WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { argumentsOf } from '../engine/parameters.js';
import { unionOf } from '../engine/scoped-tags.js';
import { Payloads } from '../payloads/payloads.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { ScheduledRuns, type ScheduledFlow, type ScheduledRunRequest } from '../scheduling/scheduled-runs.service.js';
import { shareOf } from './deployment-fairness.js';
import type { ParametersByName } from './deployment-options.js';

/** What runs of a deployment are made of. */
export interface RunTemplate {
  readonly deployment: DeploymentEntity;
  readonly flow: ScheduledFlow;
  readonly parameters: ParametersByName;
  /** Those of the flow and of the deployment. */
  readonly tags: readonly string[];
  /** What a run is called that is called with these parameters. */
  readonly nameOf: (parameters: ParametersByName) => string | undefined;
}

/** How a run of a schedule differs from the others. */
interface RunOfTime {
  readonly dueAt: Instant;
  readonly autoScheduled: boolean;
}

/** Tags that say where a run comes from. */
const AUTO_SCHEDULED = 'auto-scheduled';
const BACKFILL = 'backfill';

const NO_RETRIES: FlowRunPolicy = {
  retries: 0,
  retryDelaysMs: [],
  resuming: false,
  pauseKeys: [],
  retryType: null,
  recoveries: 0,
  maxRecoveries: 10,
};

/** Makes runs of deployments: what the deployment says, and what the schedule or the caller says in its place. */
@Injectable()
export class DeployedRuns {
  constructor(
    private readonly registry: FlowRegistry,
    private readonly payloads: Payloads,
    private readonly runs: ScheduledRuns,
  ) {}

  /** @throws the errors with codes `PAYLOAD_…` when the parameters of the deployment cannot be read in this process. */
  async templateOf(deployment: DeploymentEntity, flowName: string): Promise<RunTemplate> {
    const definition = this.registry.findFlowById(deployment.flowId);
    const { app, tags, parameters } = deployment;
    const flow = definition
      ? { ...this.runs.flowOf(definition), app }
      : { ...flowElsewhere(deployment), name: flowName, app };
    return {
      deployment,
      flow,
      parameters: (await this.payloads.read(parameters)) as ParametersByName,
      tags: unionOf(definition?.tags ?? [], tags),
      nameOf: (given) => definition?.runName?.(argumentsOf(given)),
    };
  }

  /** What a run that somebody asks for is created with. */
  requestOf(
    { deployment, parameters, tags, nameOf }: RunTemplate,
    asked: Pick<ScheduledRunRequest, 'scheduledTime'> & {
      readonly id?: string;
      readonly name?: string | undefined;
      readonly parameters: ParametersByName;
      readonly tags: readonly string[];
      readonly jobVariables: Readonly<Record<string, unknown>>;
      readonly origin: Pick<RunOrigin, 'idempotencyKey' | 'createdBy'> & Partial<RunOrigin>;
    },
  ): ScheduledRunRequest {
    const merged = { ...parameters, ...asked.parameters };
    const name = asked.name ?? nameOf(merged);
    return {
      ...(asked.id !== undefined && { id: asked.id }),
      ...(name !== undefined && { name }),
      parameters: merged,
      tags: unionOf(tags, asked.tags),
      scheduledTime: asked.scheduledTime,
      origin: {
        deploymentId: deployment.id,
        deploymentVersion: deployment.version,
        workQueueId: deployment.workQueueId,
        workQueueName: deployment.workQueueName,
        labels: {
          ...deployment.labels,
          'prefect.flow.id': deployment.flowId,
          'prefect.deployment.id': deployment.id,
        },
        jobVariables: { ...deployment.jobVariables, ...asked.jobVariables },
        fairShare: shareOf(deployment.fairness, merged),
        ...asked.origin,
      },
    };
  }

  /**
   * The runs of a schedule for some of its times. The key of a time makes sure that it is run once, whoever asks for it, and
   * however often.
   */
  async runsOfSchedule(
    template: RunTemplate,
    schedule: DeploymentScheduleEntity,
    times: readonly Instant[],
    how: (time: Instant) => RunOfTime,
  ): Promise<WaitingFlowRun[]> {
    if (times.length === 0) return [];
    const parameters = (await this.payloads.read(schedule.parameters)) as ParametersByName;
    const createdBy = creatorOf(schedule);
    return Promise.all(
      times.map((time) => {
        const { dueAt, autoScheduled } = how(time);
        const request = this.requestOf(template, {
          parameters,
          scheduledTime: dueAt,
          tags: [autoScheduled ? AUTO_SCHEDULED : BACKFILL],
          jobVariables: {},
          origin: {
            idempotencyKey: keyOfTime(schedule, time),
            createdBy,
            autoScheduled,
            scheduleId: schedule.id,
            awaitsTurn: schedule.overlap !== 'allow',
          },
        });
        return this.runs.prepare(template.flow, { ...request, expectedStartTime: time });
      }),
    );
  }
}

/** The idempotency key of the run of a time of a schedule. */
export function keyOfTime(
  { deploymentId, id }: Pick<DeploymentScheduleEntity, 'deploymentId' | 'id'>,
  time: Instant,
): string {
  return `scheduled ${deploymentId} ${id} ${formatInstant(time)}`;
}

function creatorOf({ id, slug, schedule }: DeploymentScheduleEntity): RunCreator {
  return { id, type: 'SCHEDULE', display_value: slug ?? String(schedule.kind) };
}

/** A flow whose code is not in this process: who has it said what its runs are created with. */
function flowElsewhere({ flowId, empiricalPolicy, flowVersion }: DeploymentEntity) {
  const policy = { ...NO_RETRIES, ...empiricalPolicy };
  return { id: flowId, policy, version: flowVersion, buildId: null };
}
