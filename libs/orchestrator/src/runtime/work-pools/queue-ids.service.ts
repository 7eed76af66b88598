import { Injectable } from '@nestjs/common';
import { DEFAULT_QUEUE } from '../../records/work-pools/work-queues.repository.js';
import { WorkPools } from './work-pools.service.js';

/** Where a run waits, as its row has it. */
export interface WaitingPlace {
  readonly workQueueId: string;
  readonly workQueueName: string;
}

/** What is known of a queue is asked for again after this long: it may be gone. Runs that are put there meanwhile are found. */
const KNOWN_FOR_MS = 5_000;
const MAX_KNOWN = 1_000;

/** The places in which runs wait, known for a while, because runs are put there by the thousand. */
@Injectable()
export class QueueIds {
  private readonly known = new Map<string, { readonly place: Promise<WaitingPlace>; readonly until: number }>();

  constructor(private readonly pools: WorkPools) {}

  /**
   * @param queue is made where the pool has none of that name.
   * @throws {WorkPoolNotFoundError} when there is no such pool.
   * @throws {InvalidWorkPoolError} when a queue cannot have that name.
   */
  placeIn(pool: string, queue: string = DEFAULT_QUEUE): Promise<WaitingPlace> {
    const key = `${pool}/${queue}`; // no name has a slash
    const known = this.known.get(key);
    if (known && known.until > performance.now()) return known.place;
    if (this.known.size >= MAX_KNOWN) this.known.clear();
    const place = this.pools.queueIdFor(pool, queue).then((id) => ({ workQueueId: id, workQueueName: queue }));
    this.known.set(key, { place, until: performance.now() + KNOWN_FOR_MS });
    place.catch(() => this.known.delete(key));
    return place;
  }
}
