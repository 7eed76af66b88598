import { Injectable } from '@nestjs/common';
import type { DeploymentEntity } from '../../records/deployments/deployment.entity.js';
import { InvalidRunOptionError } from '../engine/new-run-options.js';
import { idOfCall } from '../engine/id-of-call.js';
import { currentScope } from '../engine/run-scope.js';
import { tagsInScope, unionOf } from '../engine/scoped-tags.js';
import { Payloads } from '../payloads/payloads.service.js';
import { References } from '../references/references.service.js';
import { checkedEnqueue, type EnqueueOptions, type EnqueueRequest } from '../scheduling/enqueue-options.js';
import { SharedRuns } from '../scheduling/shared-runs.service.js';
import { ScheduledRuns, type ScheduledRun } from '../scheduling/scheduled-runs.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { QueueIds } from '../work-pools/queue-ids.service.js';
import { WorkPools } from '../work-pools/work-pools.service.js';
import { DeployedRuns, type RunTemplate } from './deployed-runs.service.js';
import { DeploymentParametersError, TooManyRunsError } from './deployment-errors.js';
import type { ParametersByName } from './deployment-options.js';
import { parameterProblems } from './deployment-parameters.js';

/** What a run of a deployment is given. */
export interface DeploymentRunOptions extends EnqueueOptions {
  /** In place of what the deployment says. Default: nothing. */
  readonly parameters?: ParametersByName;
  /** In place of what the deployment says. Default: nothing. */
  readonly jobVariables?: Readonly<Record<string, unknown>>;
}

/** A run that somebody asks for, checked. */
interface AskedRun {
  readonly request: EnqueueRequest;
  /** As they were given. */
  readonly asked: ParametersByName;
  /** All of them, looked up. */
  readonly parameters: ParametersByName;
  readonly jobVariables: Readonly<Record<string, unknown>>;
}

/** As in the contract. */
const MOST_RUNS = 100;

/** Makes the runs of deployments that somebody asks for. */
@Injectable()
export class DeploymentRunner {
  constructor(
    private readonly deployed: DeployedRuns,
    private readonly runs: ScheduledRuns,
    private readonly shared: SharedRuns,
    private readonly queueIds: QueueIds,
    private readonly pools: WorkPools,
    private readonly payloads: Payloads,
    private readonly references: References,
    private readonly clock: DatabaseClock,
  ) {}

  /** See `Deployments.run`; whatever is wrong with one of them is found before any is made. */
  async run(
    deployment: DeploymentEntity,
    flowName: string,
    calls: readonly DeploymentRunOptions[],
  ): Promise<ScheduledRun[]> {
    const name = `${flowName}/${deployment.name}`;
    if (calls.length > MOST_RUNS) throw new TooManyRunsError(name, MOST_RUNS, 'ask for them in several calls');
    const template = await this.deployed.templateOf(deployment, flowName);
    const asked = await Promise.all(calls.map((options) => this.checked(template, name, options)));
    const requests = await Promise.all(asked.map((one) => this.requestOf(template, one)));
    const [first] = asked;
    const [only] = requests;
    const transactions = new Set(asked.map(({ request }) => request.transaction));
    if (transactions.size > 1) throw new InvalidRunOptionError('transaction', 'has to be the same for all of them.');
    const transaction = first?.request.transaction;
    if (transaction) return this.runs.createAllWithin(transaction, template.flow, requests);
    if (first && only && requests.length === 1) {
      const { sharing } = first.request;
      return [
        await (sharing ? this.shared.create(template.flow, only, sharing) : this.runs.create(template.flow, only)),
      ];
    }
    if (asked.every(({ request }) => request.sharing === null)) return this.runs.createAll(template.flow, requests);
    throw new InvalidRunOptionError('singleton', 'and its like are for one run at a time.');
  }

  private async checked(
    { deployment, flow, parameters: own }: RunTemplate,
    name: string,
    { parameters: asked = {}, jobVariables = {}, ...options }: DeploymentRunOptions,
  ): Promise<AskedRun> {
    currentScope()?.attempt.assertLive();
    const request = checkedEnqueue(options);
    const parameters = await this.references.settled({ ...own, ...asked }, { flow, deployment });
    if (deployment.enforceParameterSchema && deployment.parameterOpenapiSchema) {
      const problems = parameterProblems(deployment.parameterOpenapiSchema, parameters);
      if (problems.length > 0) throw new DeploymentParametersError(name, problems);
    }
    return { request, asked, parameters, jobVariables };
  }

  private async requestOf(
    template: RunTemplate,
    { request, asked, parameters, jobVariables }: AskedRun,
  ): Promise<ReturnType<DeployedRuns['requestOf']>> {
    const { deployment } = template;
    const { name: given, tags, idempotencyKey, priority, workPool, workQueue, fairShare, dueAt } = request;
    const pool = workPool ?? deployment.workPoolName;
    if (pool !== null) await this.pools.checkJobVariables(pool, deployment.jobVariables, jobVariables);
    const place = workPool === null ? null : await this.queueIds.placeIn(workPool, workQueue);
    return this.deployed.requestOf(template, {
      id: idOfCall(`run:${deployment.id}`, [asked], this.payloads.classes),
      name: given,
      parameters,
      jobVariables,
      tags: unionOf(tags ?? [], tagsInScope()),
      scheduledTime: dueAt(this.clock.now()),
      origin: {
        idempotencyKey,
        priority,
        ...(fairShare && { fairShare }),
        ...place,
        createdBy: { id: deployment.id, type: 'DEPLOYMENT', display_value: deployment.name },
      },
    });
  }
}
