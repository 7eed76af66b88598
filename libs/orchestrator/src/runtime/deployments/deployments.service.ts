import { instantOfMs, type Instant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { isId } from '../../persistence/ids.js';
import type { DeploymentScheduleEntity } from '../../records/deployments/deployment-schedule.entity.js';
import { DeploymentSchedulesRepository } from '../../records/deployments/deployment-schedules.repository.js';
import type { DeploymentVersionEntity } from '../../records/deployments/deployment-version.entity.js';
import type { DeploymentEntity } from '../../records/deployments/deployment.entity.js';
import { DeploymentsRepository } from '../../records/deployments/deployments.repository.js';
import { FlowsRepository } from '../../records/flows/flows.repository.js';
import type { AsyncMethodName } from '../async-methods.js';
import { FlowRuns } from '../flow-runs.service.js';
import { FlowRunHandle } from '../flow-run-handle.js';
import { Payloads } from '../payloads/payloads.service.js';
import { checkedId, checkedLimit, InvalidQueryError } from '../queries.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import type { ScheduledRun } from '../scheduling/scheduled-runs.service.js';
import { Backfills, type BackfilledTime } from './backfills.service.js';
import { DeployedRuns } from './deployed-runs.service.js';
import { DeploymentForms } from './deployment-forms.service.js';
import { DeploymentNotFoundError, ScheduleNotFoundError } from './deployment-errors.js';
import type { DeploymentOptions } from './deployment-options.js';
import { DeploymentRunner, type DeploymentRunOptions } from './deployment-runner.service.js';
import { checkedDeployment } from './deployment-spec.js';
import { desiredOfVersion } from './deployment-version.js';
import { deploymentView, type DeploymentView } from './deployment-view.js';
import { DeploymentWriter, type SavedDeployment } from './deployment-writer.service.js';
import type { MethodParameters } from './method-parameters.js';

/** Narrows {@link Deployments.list}. */
export interface ListDeployments {
  /** 1 to 200; default 50. */
  readonly limit?: number;
  /** The id of the last deployment of the page before. */
  readonly after?: string;
  /** Only deployments of this flow. */
  readonly flowName?: string;
}

/** Which times {@link Deployments.backfill} makes runs of. */
export interface BackfillOptions {
  readonly from: Date | string | Instant;
  /** Not among them. */
  readonly to: Date | string | Instant;
  /** The slug or id of a schedule. Default: all that are active. */
  readonly schedule?: string;
  /** Whether nothing is made, and only told what would be. Default `false`. */
  readonly preview?: boolean;
}

/** What a deployment was configured with from a change on. */
export interface DeploymentVersionView {
  /** Counts from 1; the highest is what holds. */
  readonly number: number;
  readonly version: string | null;
  readonly created: Instant;
}

/**
 * Makes, changes and runs deployments. `nameOrId` is the id of one, or the name of its flow and its own: `flow/deployment`.
 *
 * What is changed holds for runs that are not due yet: those that a schedule has made are made anew. Runs that somebody asked
 * for, and runs that are due, stay as they are.
 *
 * @example
 * ```ts
 * await deployments.save(Reports, 'write', { name: 'nightly', schedules: [{ cron: '0 2 * * *' }] });
 * const run = await deployments.run('report/nightly', { parameters: { of: 'sales' } });
 * await run.result();
 * ```
 */
@Injectable()
export class Deployments {
  constructor(
    private readonly registry: FlowRegistry,
    private readonly flows: FlowsRepository,
    private readonly repository: DeploymentsRepository,
    private readonly schedules: DeploymentSchedulesRepository,
    private readonly writer: DeploymentWriter,
    private readonly forms: DeploymentForms,
    private readonly deployed: DeployedRuns,
    private readonly runner: DeploymentRunner,
    private readonly backfills: Backfills,
    private readonly payloads: Payloads,
    private readonly flowRuns: FlowRuns,
  ) {}

  /**
   * Makes a deployment of a flow, or makes the one of that name what it says; durable when this resolves, and its first runs are
   * there within seconds.
   *
   * @throws {InvalidDeploymentError} when something of it cannot be meant: an unknown time zone, an impossible cron expression.
   * @throws {DuplicateScheduleError} when two of its schedules are the same, or have the same slug.
   * @throws {DeploymentParametersError} when its parameters are not those of the flow.
   * @throws {WorkPoolNotFoundError} when there is no work pool of that name; a queue is made where there is none.
   * @throws {FlowNotRegisteredError} when the method is no flow of this application.
   */
  async save<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    options: DeploymentOptions<MethodParameters<T[K]>>,
  ): Promise<SavedDeployment> {
    const definition = this.registry.getFlow(provider, method);
    const spec = checkedDeployment(options, definition.name);
    const desired = await this.forms.desired(spec, definition);
    const flow = { id: this.registry.flowId(definition.name), name: definition.name };
    return this.writer.save(flow, desired, { managed: false, by: null });
  }

  /** `null` when there is none. */
  async find(nameOrId: string): Promise<DeploymentView | null> {
    const row = await this.row(nameOrId);
    return row && ((await this.views([row]))[0] ?? null);
  }

  /** @throws {DeploymentNotFoundError} when there is none. */
  async get(nameOrId: string): Promise<DeploymentView> {
    const view = await this.find(nameOrId);
    if (!view) throw new DeploymentNotFoundError(nameOrId);
    return view;
  }

  /**
   * A page of deployments, oldest first.
   *
   * @throws {InvalidQueryError} when `limit` or `after` cannot be meant.
   */
  async list({ limit = 50, after, flowName }: ListDeployments = {}): Promise<DeploymentView[]> {
    const flow = flowName === undefined ? undefined : await this.flows.findByName(flowName);
    if (flow === null) return [];
    const page = { limit: checkedLimit(limit), ...(flow && { flowId: flow.id }) };
    return this.views(
      await this.repository.list({ ...page, ...(after !== undefined && { after: checkedId(after, 'a deployment') }) }),
    );
  }

  /**
   * Schedules nothing more, and deletes the runs that its schedules have made and that nobody has taken. It can still be run.
   *
   * @throws {DeploymentNotFoundError} when there is none.
   */
  async pause(nameOrId: string): Promise<void> {
    const row = await this.existing(nameOrId);
    await this.writer.pause(await this.flowOf(row), row.id, 'asked');
  }

  /** Goes on scheduling, from now on. @throws {DeploymentNotFoundError} when there is none. */
  async resume(nameOrId: string): Promise<void> {
    const row = await this.existing(nameOrId);
    await this.writer.pause(await this.flowOf(row), row.id, null);
  }

  /**
   * Lets one schedule make no more runs, and deletes those that it has made and that nobody has taken.
   *
   * @param schedule its slug or id.
   * @throws {DeploymentNotFoundError} and {@link ScheduleNotFoundError} when there is none.
   */
  async pauseSchedule(nameOrId: string, schedule: string): Promise<void> {
    await this.activate(nameOrId, schedule, false);
  }

  /** Lets one schedule make runs again, from now on. @throws as {@link pauseSchedule} does. */
  async resumeSchedule(nameOrId: string, schedule: string): Promise<void> {
    await this.activate(nameOrId, schedule, true);
  }

  /**
   * Deletes a deployment, its schedules, and those of its runs that nobody has taken; other runs stay. One that is declared in
   * the code is there again when the application starts. Tells whether there was one.
   */
  async delete(nameOrId: string): Promise<boolean> {
    const row = await this.row(nameOrId);
    return row ? this.writer.delete(await this.flowOf(row), row.id) : false;
  }

  /**
   * Makes a run, paused or not; durable when this resolves, or part of the transaction that was given. Await `result()` of
   * what it gives to wait for the end of the run.
   *
   * A run that asks for it, and goes on after a crash or is tried again, asks for it once, and gets the run that it got before.
   *
   * @throws {DeploymentNotFoundError} when there is none.
   * @throws {DeploymentParametersError} when the flow does not take these parameters, and the deployment has them checked.
   * @throws {InvalidRunOptionError} and {@link InvalidDurationError} when an option cannot be meant, or cannot be kept.
   * @throws {UnserialisableValueError} when the parameters cannot be kept.
   * @throws {InvalidJobVariablesError} when its variables do not fit the template of its work pool.
   * @throws {WorkPoolNotFoundError} when it is to wait in a work pool that there is not.
   * @throws {NoTransactionError}, {@link OtherDatabaseError} and {@link QueuePermissionError} when the run cannot be part of the
   * transaction that was given; nothing was written then.
   */
  async run<Result = unknown>(nameOrId: string, options: DeploymentRunOptions = {}): Promise<FlowRunHandle<Result>> {
    const row = await this.existing(nameOrId);
    const [run] = await this.runner.run(row, (await this.flowOf(row)).name, [options]);
    if (!run) throw new DeploymentNotFoundError(nameOrId);
    return this.handleOf<Result>(run);
  }

  /**
   * The same for up to 100 runs.
   *
   * @throws {TooManyRunsError} when there are more. Besides as {@link run} does, before any is made.
   */
  async runAll<Result = unknown>(
    nameOrId: string,
    calls: readonly DeploymentRunOptions[],
  ): Promise<FlowRunHandle<Result>[]> {
    const row = await this.existing(nameOrId);
    const runs = await this.runner.run(row, (await this.flowOf(row)).name, calls);
    return runs.map((run) => this.handleOf<Result>(run));
  }

  private handleOf<Result>({ id, name, mayStillCome }: ScheduledRun): FlowRunHandle<Result> {
    return new FlowRunHandle<Result>(id, name, this.flowRuns, mayStillCome);
  }

  /**
   * Makes the runs of those times of its schedules that lie in a range and have none yet, tagged `backfill`: due at once, in
   * order, and each with its own time as the one at which it was expected to start. Asked again it makes none. Runs of a schedule
   * that lets no two go on at once wait for each other.
   *
   * @returns every time of the range with its run.
   * @throws {DeploymentNotFoundError} and {@link ScheduleNotFoundError} when there is none.
   * @throws {InvalidQueryError} when the range is none.
   * @throws {TooManyRunsError} when it has more than 10,000 times.
   */
  async backfill(nameOrId: string, options: BackfillOptions): Promise<BackfilledTime[]> {
    return this.makeTimes(nameOrId, options, false);
  }

  /**
   * Makes the runs of those times of its schedules that lie in a range ahead and have none yet, as the scheduler would make them
   * later. They are due at their times.
   *
   * @returns every time of the range with its run.
   * @throws as {@link backfill} does.
   */
  async schedule(nameOrId: string, options: BackfillOptions): Promise<BackfilledTime[]> {
    return this.makeTimes(nameOrId, options, true);
  }

  /**
   * What the deployment was configured with, newest first.
   *
   * @throws {DeploymentNotFoundError} when there is none.
   * @throws {InvalidQueryError} when `limit` cannot be meant.
   */
  async versions(
    nameOrId: string,
    { limit = 50, before }: { readonly limit?: number; readonly before?: number } = {},
  ): Promise<DeploymentVersionView[]> {
    const { id } = await this.existing(nameOrId);
    const rows = await this.repository.versionsOf(id, checkedLimit(limit), before);
    return rows.map(({ number, version, created }) => ({ number, version, created }));
  }

  /**
   * Puts the configuration of an earlier version in the place of the present one, schedules included, which makes a new version.
   * What the code declares holds again when the application starts anew. A queue that was removed since is made again.
   *
   * @throws {DeploymentNotFoundError} when there is none, or no version of that number.
   * @throws {WorkPoolNotFoundError} when its work pool was removed since.
   */
  async rollBack(nameOrId: string, number: number): Promise<SavedDeployment> {
    const row = await this.existing(nameOrId);
    const version: DeploymentVersionEntity | null = await this.repository.findVersion(row.id, number);
    if (!version) throw new DeploymentNotFoundError(`${nameOrId}, version ${number}`);
    const desired = await desiredOfVersion(row.name, version, row, (stored) => this.forms.opened(stored));
    const { workPoolName, workQueueName } = desired.configuration;
    // By their names: a pool, or a queue, may have been removed since and made anew.
    const place = workPoolName === null ? {} : await this.forms.placeIn(workPoolName, workQueueName ?? undefined);
    const placed = { ...desired, configuration: { ...desired.configuration, ...place } };
    return this.writer.save(await this.flowOf(row), placed, { managed: row.managed, by: null });
  }

  private async makeTimes(
    nameOrId: string,
    { from, to, schedule, preview = false }: BackfillOptions,
    ahead: boolean,
  ): Promise<BackfilledTime[]> {
    const row = await this.existing(nameOrId);
    const all = await this.schedules.of([row.id]);
    const chosen =
      schedule === undefined ? all.filter(({ active }) => active) : [scheduleNamed(all, schedule, nameOrId)];
    const range = { from: instantOf(from, 'from'), to: instantOf(to, 'to') };
    if (range.from >= range.to) throw new InvalidQueryError('The range ends before it begins.');
    const times = this.backfills.timesOf(chosen, range, nameOrId);
    if (preview) return this.backfills.preview(row.flowId, times);
    const template = await this.deployed.templateOf(row, (await this.flowOf(row)).name);
    return this.backfills.make(template, times, ahead);
  }

  private async activate(nameOrId: string, schedule: string, active: boolean): Promise<void> {
    const row = await this.existing(nameOrId);
    const { id } = scheduleNamed(await this.schedules.of([row.id]), schedule, nameOrId);
    await this.writer.activate(await this.flowOf(row), row.id, id, active);
  }

  private async row(nameOrId: string): Promise<DeploymentEntity | null> {
    if (isId(nameOrId)) return this.repository.find(nameOrId);
    const slash = nameOrId.indexOf('/'); // which no name has in it
    return slash < 0 ? null : this.repository.findByNames(nameOrId.slice(0, slash), nameOrId.slice(slash + 1));
  }

  private async existing(nameOrId: string): Promise<DeploymentEntity> {
    const row = await this.row(nameOrId);
    if (!row) throw new DeploymentNotFoundError(nameOrId);
    return row;
  }

  private async flowOf({ flowId }: DeploymentEntity): Promise<{ readonly id: string; readonly name: string }> {
    const [flow] = await this.flows.findByIds([flowId]);
    return { id: flowId, name: flow?.name ?? flowId };
  }

  private async views(rows: readonly DeploymentEntity[]): Promise<DeploymentView[]> {
    const [flows, schedules] = await Promise.all([
      this.flows.findByIds([...new Set(rows.map((row) => row.flowId))]),
      this.schedules.of(rows.map(({ id }) => id)),
    ]);
    const names = new Map(flows.map(({ id, name }) => [id, name]));
    return Promise.all(
      rows.map((row) => {
        const own = schedules.filter(({ deploymentId }) => deploymentId === row.id);
        return deploymentView(row, names.get(row.flowId) ?? row.flowId, own, (stored) => this.payloads.read(stored));
      }),
    );
  }
}

function scheduleNamed(
  schedules: readonly DeploymentScheduleEntity[],
  slugOrId: string,
  deployment: string,
): DeploymentScheduleEntity {
  const found = schedules.find(({ slug, id }) => slug === slugOrId || id === slugOrId);
  if (found) return found;
  const known = schedules.map(({ slug, id }) => slug ?? id);
  throw new ScheduleNotFoundError(deployment, slugOrId, known);
}

function instantOf(time: Date | string | Instant, what: string): Instant {
  if (typeof time === 'number') return time;
  const ms = new Date(time).getTime();
  if (Number.isNaN(ms)) throw new InvalidQueryError(`"${what}" is ${String(time)}, which is no time.`);
  return instantOfMs(ms);
}
