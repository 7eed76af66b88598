import { jobVariableProblems, jobVariables } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { DeploymentsRepository } from '../../records/deployments/deployments.repository.js';
import { WorkPoolsRepository } from '../../records/work-pools/work-pools.repository.js';
import {
  DEFAULT_QUEUE,
  WorkQueuesRepository,
  type LockedPool,
} from '../../records/work-pools/work-queues.repository.js';
import type { WorkQueueEntity } from '../../records/work-pools/work-queue.entity.js';
import { WorkersRepository } from '../../records/work-pools/workers.repository.js';
import { Notifier } from '../notifications/notifier.service.js';
import { checkedLimit, MAX_PAGE } from '../queries.js';
import { NEST_TYPE } from '../workers/worker-types.service.js';
import { PoolStatuses } from './pool-statuses.service.js';
import {
  DefaultWorkQueueError,
  InvalidJobVariablesError,
  WorkPoolExistsError,
  WorkPoolNotFoundError,
  WorkQueueExistsError,
  WorkQueueNotFoundError,
} from './work-pool-errors.js';
import {
  checkedNames,
  checkOptions,
  poolWorkerOf,
  workPoolOf,
  workQueueOf,
  type PoolWorker,
  type WorkPool,
  type WorkPoolOptions,
  type WorkQueue,
  type WorkQueueOptions,
} from './work-pool-values.js';

/**
 * Work pools: where runs wait for certain processes, in queues that have an order, limits and a switch. What is changed here
 * holds for the next run that a worker asks for, in whatever process; runs that are being executed go on.
 *
 * Every call is durable when it resolves.
 */
@Injectable()
export class WorkPools {
  constructor(
    private readonly pools: WorkPoolsRepository,
    private readonly workQueues: WorkQueuesRepository,
    private readonly workerRows: WorkersRepository,
    private readonly deployments: DeploymentsRepository,
    private readonly statuses: PoolStatuses,
    private readonly transactions: Transactions,
    private readonly notifier: Notifier,
  ) {}

  /**
   * Creates a pool, and its queue `default`.
   *
   * @throws {WorkPoolExistsError} when there is one of that name.
   * @throws {InvalidWorkPoolError} when a name or an option cannot be meant.
   */
  async create(name: string, options: WorkPoolOptions = {}): Promise<WorkPool> {
    if (!(await this.createIfAbsent(name, options))) throw new WorkPoolExistsError(name);
    return this.get(name);
  }

  /** Creates a pool where there is none of that name; tells whether it did. */
  async createIfAbsent(name: string, options: WorkPoolOptions = {}): Promise<boolean> {
    checkedNames(name);
    checkOptions(name, null, options);
    const { type = NEST_TYPE, description = null, baseJobTemplate = {}, paused = false } = options;
    const { concurrencyLimit = null, storageConfiguration = {} } = options;
    const pool = {
      ...{ id: newId(), defaultQueueId: newId(), name, type, description, baseJobTemplate },
      ...{ isPaused: paused, concurrencyLimit, storageConfiguration },
    };
    return this.transactions.run(async (tx) => {
      const created = await this.pools.create(tx, pool);
      if (created) await this.statuses.tellOfPool(tx, 'created', pool);
      return created;
    });
  }

  /** `null` when there is none of that name. */
  async find(name: string): Promise<WorkPool | null> {
    const row = await this.pools.find(name);
    return row && workPoolOf(row);
  }

  /** @throws {WorkPoolNotFoundError} when there is none of that name. */
  async get(name: string): Promise<WorkPool> {
    const pool = await this.find(name);
    if (!pool) throw new WorkPoolNotFoundError(name);
    return pool;
  }

  /**
   * The pools by name, a page at a time.
   *
   * @param page `limit` 1 to 200, default 200; `after` is the name of the last one of the page before.
   * @throws {InvalidQueryError} when `limit` cannot be meant.
   */
  async list({ limit = MAX_PAGE, after }: { readonly limit?: number; readonly after?: string } = {}): Promise<
    WorkPool[]
  > {
    const rows = await this.pools.list({ limit: checkedLimit(limit), ...(after !== undefined && { after }) });
    return rows.map(workPoolOf);
  }

  /**
   * Changes what is given of a pool.
   *
   * @throws {WorkPoolNotFoundError} when there is none of that name.
   * @throws {InvalidWorkPoolError} when an option cannot be meant.
   */
  async update(name: string, changes: Omit<WorkPoolOptions, 'type'>): Promise<WorkPool> {
    checkOptions(name, null, changes);
    const { paused, ...others } = changes;
    await this.transactions.run(async (tx) => {
      const { id, type } = await this.lockedPool(tx, name);
      await this.pools.update(tx, name, { ...others, ...(paused !== undefined && { isPaused: paused }) });
      await this.statuses.tellOfPool(tx, 'updated', { id, name, type });
      await this.statuses.settle(tx, name);
    });
    this.announce();
    return this.get(name);
  }

  /**
   * Lets the runs of a pool wait until it is resumed; those that are executed go on.
   *
   * @throws {WorkPoolNotFoundError} when there is none of that name.
   */
  pause(name: string): Promise<WorkPool> {
    return this.update(name, { paused: true });
  }

  /** @throws {WorkPoolNotFoundError} when there is none of that name. */
  resume(name: string): Promise<WorkPool> {
    return this.update(name, { paused: false });
  }

  /**
   * Removes a pool with its queues; tells whether there was one. No run is lost: those that wait there wait on in no queue, where
   * any process of the application executes them that has their flow; so do those that deployments of the pool make from now on.
   */
  async delete(name: string): Promise<boolean> {
    const deleted = await this.transactions.run(async (tx) => {
      // First the lock, then the look at what there is: a queue may be made at this moment.
      const pool = await this.workQueues.lockPool(tx, name);
      if (!pool) return false;
      await this.deployments.leaveQueues(tx, await this.workQueues.idsOf(tx, pool.id), null);
      await this.pools.delete(tx, name);
      await this.statuses.tellOfPool(tx, 'deleted', { id: pool.id, name, type: pool.type });
      return true;
    });
    this.announce();
    return deleted;
  }

  /**
   * The queues of a pool, the first to go first.
   *
   * @throws {WorkPoolNotFoundError} when there is none of that name.
   */
  async queues(pool: string): Promise<WorkQueue[]> {
    const { id } = await this.get(pool);
    return (await this.workQueues.listOf(id)).map(workQueueOf);
  }

  /** @throws {WorkPoolNotFoundError} and {@link WorkQueueNotFoundError} when there is none of that name. */
  async getQueue(pool: string, queue: string): Promise<WorkQueue> {
    const { id } = await this.get(pool);
    return workQueueOf(await this.queueRow(id, pool, queue));
  }

  /**
   * Adds a queue to a pool.
   *
   * @throws {WorkPoolNotFoundError} when there is no such pool.
   * @throws {WorkQueueExistsError} when it has one of that name.
   * @throws {InvalidWorkPoolError} when a name or an option cannot be meant.
   */
  async createQueue(pool: string, queue: string, options: WorkQueueOptions = {}): Promise<WorkQueue> {
    if (!(await this.createQueueIfAbsent(pool, queue, options))) throw new WorkQueueExistsError(pool, queue);
    return this.getQueue(pool, queue);
  }

  /**
   * The id of a queue, which is made where the pool has none of that name: naming it is enough.
   *
   * @param queue default: the default queue of the pool.
   * @throws {WorkPoolNotFoundError} when there is no such pool.
   * @throws {InvalidWorkPoolError} when a queue cannot have that name.
   */
  async queueIdFor(pool: string, queue: string = DEFAULT_QUEUE): Promise<string> {
    const { id } = await this.get(pool);
    const found = await this.workQueues.find(id, queue);
    if (found) return found.id;
    await this.createQueueIfAbsent(pool, queue);
    return (await this.queueRow(id, pool, queue)).id;
  }

  /**
   * Changes what is given of a queue; with another priority the queues around it move on or close up.
   *
   * @throws {WorkPoolNotFoundError} and {@link WorkQueueNotFoundError} when there is none of that name.
   * @throws {InvalidWorkPoolError} when an option cannot be meant.
   */
  async updateQueue(pool: string, queue: string, changes: WorkQueueOptions): Promise<WorkQueue> {
    checkOptions(pool, queue, changes);
    const { paused, priority, ...others } = changes;
    await this.transactions.run(async (tx) => {
      const { id: poolId } = await this.lockedPool(tx, pool);
      const id = await this.workQueues.findId(tx, poolId, queue);
      if (id === null) throw new WorkQueueNotFoundError(pool, queue);
      await this.workQueues.update(tx, id, { ...others, ...(paused !== undefined && { isPaused: paused }) });
      if (priority !== undefined) await this.workQueues.move(tx, poolId, id, priority);
      await this.statuses.tellOfQueue(tx, 'updated', { id, name: queue, poolId, poolName: pool });
      await this.statuses.settle(tx, pool);
    });
    this.announce();
    return this.getQueue(pool, queue);
  }

  /**
   * Lets the runs of a queue wait until it is resumed; those that are executed go on.
   *
   * @throws {WorkPoolNotFoundError} and {@link WorkQueueNotFoundError} when there is none of that name.
   */
  pauseQueue(pool: string, queue: string): Promise<WorkQueue> {
    return this.updateQueue(pool, queue, { paused: true });
  }

  /** @throws {WorkPoolNotFoundError} and {@link WorkQueueNotFoundError} when there is none of that name. */
  resumeQueue(pool: string, queue: string): Promise<WorkQueue> {
    return this.updateQueue(pool, queue, { paused: false });
  }

  /**
   * Removes a queue; runs that wait in it wait on in the default queue, and so do those that its deployments make from now on.
   * Tells whether there was one.
   *
   * @throws {WorkPoolNotFoundError} when there is no such pool.
   * @throws {DefaultWorkQueueError} when it is the default queue.
   */
  async deleteQueue(pool: string, queue: string): Promise<boolean> {
    if (queue === DEFAULT_QUEUE) throw new DefaultWorkQueueError(pool);
    const deleted = await this.transactions.run(async (tx) => {
      const { id: poolId, defaultQueueId } = await this.lockedPool(tx, pool);
      const id = await this.workQueues.findId(tx, poolId, queue);
      if (id === null) return false;
      await this.deployments.leaveQueues(tx, [id], { id: defaultQueueId, name: DEFAULT_QUEUE });
      await this.workQueues.delete(tx, poolId, id);
      await this.statuses.tellOfQueue(tx, 'deleted', { id, name: queue, poolId, poolName: pool });
      return true;
    });
    this.announce();
    return deleted;
  }

  /**
   * The workers of a pool by name, also those that are gone.
   *
   * @throws {WorkPoolNotFoundError} when there is no such pool.
   */
  async workers(pool: string): Promise<PoolWorker[]> {
    const { id } = await this.get(pool);
    return (await this.workerRows.listOf(id)).map(poolWorkerOf);
  }

  /**
   * Checks job variables against the template of a pool.
   *
   * @param layers those of a deployment, then those of a run; with one layer alone, what the template asks for may be absent.
   * @throws {WorkPoolNotFoundError} when there is no such pool.
   * @throws {InvalidJobVariablesError} when they do not fit.
   */
  async checkJobVariables(
    pool: string,
    ...layers: readonly (Readonly<Record<string, unknown>> | null)[]
  ): Promise<void> {
    const { baseJobTemplate } = await this.get(pool);
    const lacking = layers.length < 2;
    const problems = jobVariableProblems(baseJobTemplate, jobVariables(baseJobTemplate, ...layers), { lacking });
    if (problems.length > 0) throw new InvalidJobVariablesError(pool, problems);
  }

  /** Tells whoever serves pools: some of their runs may be to be had now, and what they know of them has changed. */
  private announce(): void {
    this.notifier.notify('due');
    this.notifier.notify('pools');
  }

  private async createQueueIfAbsent(pool: string, queue: string, options: WorkQueueOptions = {}): Promise<boolean> {
    checkedNames(pool, queue);
    checkOptions(pool, queue, options);
    const { description = '', paused = false, concurrencyLimit = null, priority } = options;
    const id = newId();
    const created = await this.transactions.run(async (tx) => {
      const { id: poolId } = await this.lockedPool(tx, pool);
      const row = { id, name: queue, description, isPaused: paused, concurrencyLimit };
      if (!(await this.workQueues.create(tx, poolId, row))) return false;
      if (priority !== undefined) await this.workQueues.move(tx, poolId, id, priority);
      await this.statuses.tellOfQueue(tx, 'created', { id, name: queue, poolId, poolName: pool });
      return true;
    });
    if (created) this.notifier.notify('pools');
    return created;
  }

  private async lockedPool(tx: Tx, pool: string): Promise<LockedPool> {
    const locked = await this.workQueues.lockPool(tx, pool);
    if (!locked) throw new WorkPoolNotFoundError(pool);
    return locked;
  }

  private async queueRow(poolId: string, pool: string, queue: string): Promise<WorkQueueEntity> {
    const row = await this.workQueues.find(poolId, queue);
    if (!row) throw new WorkQueueNotFoundError(pool, queue);
    return row;
  }
}
