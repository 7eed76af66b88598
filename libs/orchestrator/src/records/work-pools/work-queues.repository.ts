import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableText } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import type { PoolStatus } from './work-pool.entity.js';
import { WorkQueueEntity } from './work-queue.entity.js';

/** The queue that every pool has. */
export const DEFAULT_QUEUE = 'default';

/** What a queue is made of. */
interface NewWorkQueue {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly isPaused: boolean;
  readonly concurrencyLimit: number | null;
}

/** What may be changed of a queue. */
type WorkQueueChanges = Partial<Pick<NewWorkQueue, 'description' | 'isPaused' | 'concurrencyLimit'>>;

/** A pool that is locked. */
export interface LockedPool {
  readonly id: string;
  readonly type: string;
  readonly defaultQueueId: string;
}

/** A queue that came into another status. */
export interface QueueTransition {
  readonly id: string;
  readonly name: string;
  readonly status: PoolStatus;
  readonly poolId: string;
  readonly poolName: string;
}

@Injectable()
export class WorkQueuesRepository {
  private readonly queues: Repository<WorkQueueEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.queues = dataSource.getRepository(WorkQueueEntity);
    this.schema = schemaOf(dataSource);
  }

  /**
   * Locks a pool, so that nobody else makes, moves or removes queues of it; `null` when there is none. Claims under a limit of
   * the pool wait as well, for as long as the transaction lasts.
   */
  async lockPool(tx: Tx, poolName: string): Promise<LockedPool | null> {
    const [row] = await tx.query<LockedPool>(
      `select id, type, default_queue_id as "defaultQueueId" from ${this.schema}.work_pool where name = $1 for no key update`,
      [poolName],
    );
    return row ?? null;
  }

  /** The ids of all queues of a pool. */
  async idsOf(tx: Tx, poolId: string): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(`select id from ${this.schema}.work_queue where work_pool_id = $1`, [
      poolId,
    ]);
    return rows.map(({ id }) => id);
  }

  /** The id of a queue of a pool; `null` when there is none of that name. */
  async findId(tx: Tx, poolId: string, name: string): Promise<string | null> {
    const [row] = await tx.query<{ id: string }>(
      `select id from ${this.schema}.work_queue where work_pool_id = $1 and name = $2`,
      [poolId, name],
    );
    return row?.id ?? null;
  }

  /** Adds a queue behind all others of a pool; tells whether it did: one that has the name is left as it is. */
  async create(tx: Tx, poolId: string, queue: NewWorkQueue): Promise<boolean> {
    const rows = await tx.query(
      `insert into ${this.schema}.work_queue
         (id, work_pool_id, name, description, is_paused, concurrency_limit, status, priority)
       select $2, $1, $3, $4, $5, $6, case when $5 then 'PAUSED' else 'NOT_READY' end, coalesce(max(priority), 0) + 1
         from ${this.schema}.work_queue where work_pool_id = $1
       on conflict (work_pool_id, name) do nothing
       returning id`,
      [poolId, queue.id, queue.name, storableText(queue.description), queue.isPaused, queue.concurrencyLimit],
    );
    return rows.length > 0;
  }

  /** Tells whether there is one. */
  async update(tx: Tx, id: string, changes: WorkQueueChanges): Promise<boolean> {
    const columns: [string, unknown][] = [
      ['description', changes.description === undefined ? undefined : storableText(changes.description)],
      ['is_paused', changes.isPaused],
      ['concurrency_limit', changes.concurrencyLimit],
    ];
    const given = columns.filter(([, value]) => value !== undefined);
    const assignments = given.map(([column], index) => `${column} = $${index + 2}`);
    const rows = await tx.query(
      `update ${this.schema}.work_queue set ${['updated = now()', ...assignments].join(', ')} where id = $1 returning id`,
      [id, ...given.map(([, value]) => value)],
    );
    return rows.length > 0;
  }

  /** Puts a queue into that place among those of its pool, and the others around it: no place is left empty. */
  async move(tx: Tx, poolId: string, id: string, priority: number): Promise<void> {
    await tx.query(
      `with other as (
         select id, row_number() over (order by priority)::integer as place
           from ${this.schema}.work_queue where work_pool_id = $1 and id <> $2
       ), placed as (
         select id, place + (place >= $3)::integer as place from other
         union all
         select $2, least($3, (select count(*) from other) + 1)::integer
       )
       update ${this.schema}.work_queue q
          set priority = placed.place, updated = now()
         from placed
        where q.id = placed.id and q.priority <> placed.place`,
      [poolId, id, priority],
    );
  }

  /** Removes a queue; runs that wait in it go on waiting in the default queue of the pool. Rides `flow_run_queued_idx`. */
  async delete(tx: Tx, poolId: string, id: string): Promise<void> {
    await tx.query(
      `with gone as (
         delete from ${this.schema}.work_queue where id = $2 returning id
       )
       update ${this.schema}.flow_run r
          set work_queue_id = p.default_queue_id, work_queue_name = '${DEFAULT_QUEUE}', fair_line_id = null, updated = now()
         from gone cross join ${this.schema}.work_pool p
        where p.id = $1 and r.work_queue_id = gone.id and r.state_type = 'SCHEDULED' and r.process_id is null`,
      [poolId, id],
    );
    await tx.query(
      `with placed as (
         select id, row_number() over (order by priority) as place
           from ${this.schema}.work_queue where work_pool_id = $1
       )
       update ${this.schema}.work_queue q
          set priority = placed.place, updated = now()
         from placed
        where q.id = placed.id and q.priority <> placed.place`,
      [poolId],
    );
  }

  find(poolId: string, name: string): Promise<WorkQueueEntity | null> {
    return this.queues.findOneBy({ workPoolId: poolId, name });
  }

  /** Those of a pool, the first to go first. */
  listOf(poolId: string): Promise<WorkQueueEntity[]> {
    return this.queues.find({ where: { workPoolId: poolId }, order: { priority: 'ASC' } });
  }

  /** Notes that somebody has just asked for the runs of these queues. */
  async notePolled(tx: Tx, ids: readonly string[]): Promise<void> {
    await tx.query(
      `update ${this.schema}.work_queue q set last_polled = clock_timestamp()
         from (select id from ${this.schema}.work_queue where id = any($1::uuid[]) order by id for no key update skip locked) l
        where q.id = l.id`,
      [ids],
    );
  }

  /**
   * Brings the statuses of queues up to date with what follows from: whether they are paused, and when somebody last asked for
   * their runs. Locks those that change; one that somebody else changes at this moment is theirs.
   *
   * @param poolName of which pool; `null` for all.
   */
  settleStatuses(tx: Tx, poolName: string | null, polledWithinMs: number): Promise<QueueTransition[]> {
    return tx.query<QueueTransition>(
      `with due as materialized (${this.unsettled()}
            for no key update of q skip locked
       ), changed as (
         update ${this.schema}.work_queue q
            set status = due.status, updated = now()
           from due
          where q.id = due.id
         returning q.id, q.name, q.status, due.pool_id, due.pool_name
       )
       select id, name, status, pool_id as "poolId", pool_name as "poolName" from changed`,
      [poolName, polledWithinMs],
    );
  }
  /** Whether any queue is in another status than it should be: see {@link settleStatuses}. */
  lookForUnsettled(polledWithinMs: number): Look {
    return { text: this.unsettled(), parameters: [null, polledWithinMs], finds: 'rows' };
  }

  private unsettled(): string {
    return `
         select q.id, s.status, p.id as pool_id, p.name as pool_name
           from ${this.schema}.work_queue q
           join ${this.schema}.work_pool p on p.id = q.work_pool_id
          cross join lateral (
            select case when q.is_paused then 'PAUSED'
                        when q.last_polled > clock_timestamp() - $2 * interval '1 millisecond' then 'READY'
                        else 'NOT_READY' end as status) as s
          where p.name = coalesce($1, p.name) and q.status <> s.status
          order by q.id`;
  }
}
