import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import type { Tx } from '../../persistence/transactions.js';
import { EventsRepository, RESOURCE_ID, type NewEvent } from '../../records/events/events.repository.js';
import type { Look } from '../../records/looks/look.js';
import { WorkPoolsRepository, type PoolTransition } from '../../records/work-pools/work-pools.repository.js';
import { WorkQueuesRepository, type QueueTransition } from '../../records/work-pools/work-queues.repository.js';
import { DatabaseClock } from '../transitions/database-clock.js';

/** A queue, or a deployment, that nobody has asked for runs of for this long is not served. */
export const POLLED_WITHIN_MS = 60_000;

/** Keeps the statuses of pools and queues, each change with the event that says so, in one transaction. */
@Injectable()
export class PoolStatuses {
  constructor(
    private readonly pools: WorkPoolsRepository,
    private readonly queues: WorkQueuesRepository,
    private readonly events: EventsRepository,
    private readonly clock: DatabaseClock,
  ) {}

  /** @param poolName of which pool and its queues; `null` for all. */
  async settle(tx: Tx, poolName: string | null): Promise<void> {
    for (const pool of await this.pools.settleStatuses(tx, poolName)) {
      const event = this.eventOf(pool.status, 'work-pool', poolLabels(pool), []);
      await this.events.insert(tx, event);
      await this.pools.noteStatusEvent(tx, pool.id, event.id);
    }
    for (const queue of await this.queues.settleStatuses(tx, poolName, POLLED_WITHIN_MS)) {
      await this.events.insert(tx, this.eventOf(queue.status, 'work-queue', queueLabels(queue), [poolOf(queue)]));
    }
  }

  /** Whether there is anything to {@link settle}. */
  looks(): Look[] {
    return [this.pools.lookForUnsettled(), this.queues.lookForUnsettled(POLLED_WITHIN_MS)];
  }

  /** Writes that something happened to a pool. */
  tellOfPool(tx: Tx, what: 'created' | 'updated' | 'deleted', pool: Omit<PoolTransition, 'status'>): Promise<void> {
    return this.events.insert(tx, this.eventOf(what, 'work-pool', poolLabels(pool), []));
  }

  /** Writes that something happened to a queue. */
  tellOfQueue(tx: Tx, what: 'created' | 'updated' | 'deleted', queue: Omit<QueueTransition, 'status'>): Promise<void> {
    return this.events.insert(tx, this.eventOf(what, 'work-queue', queueLabels(queue), [poolOf(queue)]));
  }

  private eventOf(
    what: string,
    kind: 'work-pool' | 'work-queue',
    resource: NewEvent['resource'],
    related: NewEvent['related'],
  ): NewEvent {
    const event = `prefect.${kind}.${what.toLowerCase().replace('_', '-')}`;
    return { id: newId(), occurred: this.clock.now(), event, resource, related, payload: {} };
  }
}

function poolLabels({ id, name, type }: Pick<PoolTransition, 'id' | 'name' | 'type'>): NewEvent['resource'] {
  return {
    [RESOURCE_ID]: `prefect.work-pool.${id}`,
    'prefect.resource.name': name,
    'prefect.work-pool.type': type,
  };
}

function queueLabels({ id, name }: Pick<QueueTransition, 'id' | 'name'>): NewEvent['resource'] {
  return { [RESOURCE_ID]: `prefect.work-queue.${id}`, 'prefect.resource.name': name };
}

function poolOf({ poolId, poolName }: Pick<QueueTransition, 'poolId' | 'poolName'>): NewEvent['resource'] {
  return {
    [RESOURCE_ID]: `prefect.work-pool.${poolId}`,
    'prefect.resource.name': poolName,
    'prefect.resource.role': 'work-pool',
  };
}
