import type { Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import type { SchedulePosition } from '../../records/deployments/deployment-rows.js';
import type { DeploymentScheduleEntity } from '../../records/deployments/deployment-schedule.entity.js';
import { DeploymentSchedulesRepository } from '../../records/deployments/deployment-schedules.repository.js';
import type { DeploymentEntity } from '../../records/deployments/deployment.entity.js';
import { DeploymentsRepository } from '../../records/deployments/deployments.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ScheduleNews } from '../scheduler/schedule-news.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { DeploymentEvents } from './deployment-events.js';
import { DeploymentForms } from './deployment-forms.service.js';
import { versionOf } from './deployment-version.js';
import {
  changesOf,
  hasSameTimes,
  scheduleChanges,
  type DeployedFlow,
  type DesiredDeployment,
} from './desired-deployment.js';

/** Who wants something of a deployment. */
interface Author {
  /** The code of the application says so. */
  readonly managed: boolean;
  readonly by: Record<string, unknown> | null;
}

/** What became of a deployment that was to be kept. */
export interface SavedDeployment {
  readonly id: string;
  readonly outcome: 'created' | 'updated' | 'unchanged';
  /** The fields that were changed. */
  readonly fields: readonly string[];
}

/**
 * The one place where deployments and schedules are changed. Each change is one transaction: the deployment, its schedules, the
 * version, the event; and the runs that were made for times to come and that would be made differently now are deleted in it,
 * to be made anew. Runs that somebody asked for stay.
 *
 * The deployment is locked first, then its schedules: who makes runs of a schedule holds its lock until the runs are there.
 */
@Injectable()
export class DeploymentWriter {
  constructor(
    private readonly transactions: Transactions,
    private readonly deployments: DeploymentsRepository,
    private readonly schedules: DeploymentSchedulesRepository,
    private readonly forms: DeploymentForms,
    private readonly events: DeploymentEvents,
    private readonly news: ScheduleNews,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Makes a deployment, or makes the one that there is what is asked for; changes nothing where nothing differs. */
  async save(flow: DeployedFlow, desired: DesiredDeployment, author: Author): Promise<SavedDeployment> {
    const saved = await this.transactions.run(async (tx): Promise<SavedDeployment> => {
      const found = await this.deployments.lockByName(tx, flow.id, desired.name);
      if (found) return this.update(tx, flow, found, desired, author);
      const created = await this.create(tx, flow, desired, author);
      if (created) return created;
      // Somebody else was faster.
      const other = await this.deployments.lockByName(tx, flow.id, desired.name);
      if (!other) throw new Error(`Deployment "${flow.name}/${desired.name}" was made and deleted at the same moment.`);
      return this.update(tx, flow, other, desired, author);
    });
    if (saved.outcome !== 'unchanged') this.news.announce();
    return saved;
  }

  /**
   * Pauses a deployment, or lets it go on; tells whether that changed anything. What it has made and nobody has taken goes.
   *
   * @param mayBe looks at it once it is locked, and decides. Default: yes.
   */
  async pause(
    flow: DeployedFlow,
    id: string,
    reason: DeploymentEntity['pausedReason'],
    mayBe: (tx: Tx, found: DeploymentEntity) => Promise<boolean> = async () => true,
  ): Promise<boolean> {
    const changed = await this.transactions.run(async (tx) => {
      const found = await this.deployments.lock(tx, id);
      if (!found || found.pausedReason === reason || !(await mayBe(tx, found))) return false;
      await this.setPaused(tx, found, reason);
      await this.events.emit(tx, 'updated', flow, found, { changed_fields: ['paused'], ...(reason && { reason }) });
      return true;
    });
    if (changed) this.news.announce();
    return changed;
  }

  /** Lets a schedule make runs, or no more; tells whether that changed anything. */
  async activate(flow: DeployedFlow, deploymentId: string, scheduleId: string, active: boolean): Promise<boolean> {
    const changed = await this.transactions.run(async (tx) => {
      const deployment = await this.deployments.lock(tx, deploymentId);
      const schedules = await this.schedules.lock(tx, deploymentId);
      const found = schedules.find(({ id }) => id === scheduleId);
      if (!deployment || !found || found.active === active) return false;
      const now = await this.schedules.now(tx, this.clock.leadUs);
      await this.schedules.configure(tx, found.id, {
        ...found,
        active,
        ...position(now, !deployment.paused && active),
      });
      if (!active) await this.schedules.takeBack(tx, [found.id], null);
      await this.events.emit(tx, 'updated', flow, deployment, { changed_fields: ['schedules'] });
      return true;
    });
    if (changed) this.news.announce();
    return changed;
  }

  /** Deletes a deployment with its schedules, and those of its runs that nobody has taken. Other runs stay. */
  async delete(flow: DeployedFlow, id: string): Promise<boolean> {
    return this.transactions.run(async (tx) => {
      const found = await this.deployments.lock(tx, id);
      if (!found) return false;
      await this.schedules.lock(tx, id);
      await this.schedules.takeBackAll(tx, id);
      await this.deployments.delete(tx, id);
      await this.events.emit(tx, 'deleted', flow, found, {});
      return true;
    });
  }

  private async create(
    tx: Tx,
    flow: DeployedFlow,
    desired: DesiredDeployment,
    { managed, by }: Author,
  ): Promise<SavedDeployment | null> {
    const paused = desired.paused ?? false;
    const { app } = this.settings;
    const identity = { id: newId(), flowId: flow.id, app, name: desired.name, managed, createdBy: by };
    const pausedReason = paused ? ('asked' as const) : null;
    const row = { ...identity, paused, pausedReason, ...desired.configuration };
    if (!(await this.deployments.insert(tx, row))) return null;
    const now = await this.schedules.now(tx, this.clock.leadUs);
    for (const one of desired.schedules) {
      const active = one.active ?? true;
      const schedule = { id: newId(), deploymentId: row.id, app, ...one.configuration, active };
      await this.schedules.insert(tx, { ...schedule, ...position(now, active && !paused) });
    }
    await this.deployments.addVersion(tx, { ...versionOf(desired), deploymentId: row.id, createdBy: by });
    await this.events.emit(tx, 'created', flow, row, {});
    return { id: row.id, outcome: 'created', fields: [] };
  }

  private async update(
    tx: Tx,
    flow: DeployedFlow,
    found: DeploymentEntity,
    desired: DesiredDeployment,
    { managed, by }: Author,
  ): Promise<SavedDeployment> {
    const changes = changesOf(found, await this.forms.opened(found.parameters), desired);
    const rows = await this.schedules.lock(tx, found.id);
    const now = await this.schedules.now(tx, this.clock.leadUs);
    // What went out of the code and comes back goes on, and so does what nobody served and is served by a pool from now on; what
    // somebody paused stays so, unless told otherwise.
    const isPooled = found.pausedReason === 'away' && desired.configuration.workQueueId !== null;
    const returns = isPooled || (managed && found.pausedReason === 'removed');
    const paused = desired.paused ?? (returns ? false : found.paused);
    // What the code says is paused is so for that reason, and does not go on because somebody is there.
    const isAsked = desired.paused === true && found.pausedReason === 'away';
    const fields = [...changes.fields];
    if (await this.follow(tx, found, rows, desired, changes.concernsRuns, { now, paused })) fields.push('schedules');
    if (paused !== found.paused || returns || isAsked) {
      await this.setPaused(tx, found, paused ? 'asked' : null);
      if (paused !== found.paused) fields.push('paused');
    }
    if (changes.any || found.managed !== managed) {
      await this.deployments.configure(tx, found.id, desired.configuration, { managed, updatedBy: by });
    }
    if (fields.length === 0) return { id: found.id, outcome: 'unchanged', fields };
    if (fields.some((field) => field !== 'paused')) {
      await this.deployments.addVersion(tx, { ...versionOf(desired), deploymentId: found.id, createdBy: by });
    }
    await this.events.emit(tx, 'updated', flow, found, { changed_fields: fields });
    return { id: found.id, outcome: 'updated', fields };
  }

  /** Makes the schedules what they are to be; tells whether any differed. */
  private async follow(
    tx: Tx,
    { id: deploymentId, app, paused: wasPaused }: DeploymentEntity,
    rows: readonly DeploymentScheduleEntity[],
    desired: DesiredDeployment,
    concernsRuns: boolean,
    { now, paused }: { readonly now: Instant; readonly paused: boolean },
  ): Promise<boolean> {
    const { added, changed, kept, removed } = scheduleChanges(await this.forms.known(rows), desired.schedules);
    const switched = kept.filter(
      ({ known, desired: { active } }) => (active ?? known.configuration.active) !== known.configuration.active,
    );
    const anew = [...changed, ...(concernsRuns ? kept : switched)];
    for (const { known, desired: one } of anew) {
      const active = one.active ?? known.configuration.active;
      const goesOn = known.configuration.active && !wasPaused && hasSameTimes(known, one);
      const filledUntil = goesOn ? rows.find(({ id }) => id === known.id)?.filledUntil : null;
      await this.schedules.configure(tx, known.id, {
        ...one.configuration,
        active,
        ...position(now, active && !paused, filledUntil ?? now),
      });
      await this.schedules.takeBack(tx, [known.id], active ? now : null);
    }
    for (const one of added) {
      const active = one.active ?? true;
      const schedule = { id: newId(), deploymentId, app, ...one.configuration, active };
      await this.schedules.insert(tx, { ...schedule, ...position(now, active && !paused) });
    }
    const gone = removed.map(({ id }) => id);
    await this.schedules.takeBack(tx, gone, null);
    if (gone.length > 0) await this.schedules.delete(tx, gone);
    return added.length + changed.length + switched.length + removed.length > 0;
  }

  private async setPaused(tx: Tx, { id }: DeploymentEntity, reason: DeploymentEntity['pausedReason']): Promise<void> {
    await this.deployments.setPaused(tx, id, reason);
    const schedules = await this.schedules.lock(tx, id);
    const now = await this.schedules.now(tx, this.clock.leadUs);
    await this.schedules.place(
      tx,
      schedules.map((one) => ({ id: one.id, ...position(now, reason === null && one.active), turnAt: null })),
    );
    if (reason === null) return;
    const ids = schedules.map((one) => one.id);
    await this.schedules.takeBack(tx, ids, null);
  }
}

/**
 * Where the scheduler begins: with times from now on. Where it had not come that far, because nobody was there, it goes on from
 * there: what becomes of those times is for the schedule to say.
 */
function position(now: Instant, makesRuns: boolean, filledUntil = now): SchedulePosition {
  return { filledUntil: filledUntil < now ? filledUntil : now, fillAt: makesRuns ? now : null };
}
