import { Inject, Injectable } from '@nestjs/common';
import type { BaseJobTemplate } from '@nestor/core';
import { DataSource, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableJson, storableText } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { DEFAULT_QUEUE } from './work-queues.repository.js';
import { WorkPoolEntity, type PoolStatus } from './work-pool.entity.js';

/** What a pool is made of. */
interface NewWorkPool {
  readonly id: string;
  readonly defaultQueueId: string;
  readonly name: string;
  readonly type: string;
  readonly description: string | null;
  readonly baseJobTemplate: Partial<BaseJobTemplate>;
  readonly isPaused: boolean;
  readonly concurrencyLimit: number | null;
  readonly storageConfiguration: Readonly<Record<string, unknown>>;
}

/** What may be changed of a pool. */
type WorkPoolChanges = Partial<
  Pick<NewWorkPool, 'description' | 'baseJobTemplate' | 'isPaused' | 'concurrencyLimit' | 'storageConfiguration'>
>;

/** A pool that came into another status. */
export interface PoolTransition {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly status: PoolStatus;
}

@Injectable()
export class WorkPoolsRepository {
  private readonly pools: Repository<WorkPoolEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.pools = dataSource.getRepository(WorkPoolEntity);
    this.schema = schemaOf(dataSource);
  }

  /** Creates a pool together with its default queue; tells whether it did: a pool that has the name is left as it is. */
  async create(tx: Tx, pool: NewWorkPool): Promise<boolean> {
    const rows = await tx.query(
      `with pool as (
         insert into ${this.schema}.work_pool
           (id, default_queue_id, name, type, description, base_job_template, is_paused, concurrency_limit,
            storage_configuration, status)
         values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9::jsonb, case when $7 then 'PAUSED' else 'NOT_READY' end)
         on conflict (name) do nothing
         returning id, default_queue_id
       ), queue as (
         insert into ${this.schema}.work_queue (id, work_pool_id, name, description, priority)
         select default_queue_id, id, '${DEFAULT_QUEUE}', 'The work pool''s default queue.', 1 from pool
       )
       select id from pool`,
      [
        ...[pool.id, pool.defaultQueueId, pool.name, pool.type, textOf(pool.description)],
        ...[storableJson(pool.baseJobTemplate), pool.isPaused, pool.concurrencyLimit],
        storableJson(pool.storageConfiguration),
      ],
    );
    return rows.length > 0;
  }

  /** Tells whether there is one. */
  async update(tx: Tx, name: string, changes: WorkPoolChanges): Promise<boolean> {
    const columns: [string, unknown][] = [
      ['description', changes.description === undefined ? undefined : textOf(changes.description)],
      ['base_job_template', changes.baseJobTemplate && storableJson(changes.baseJobTemplate)],
      ['is_paused', changes.isPaused],
      ['concurrency_limit', changes.concurrencyLimit],
      ['storage_configuration', changes.storageConfiguration && storableJson(changes.storageConfiguration)],
    ];
    const given = columns.filter(([, value]) => value !== undefined);
    const assignments = given.map(([column], index) => `${column} = $${index + 2}`);
    const rows = await tx.query(
      `update ${this.schema}.work_pool set ${['updated = now()', ...assignments].join(', ')} where name = $1 returning id`,
      [name, ...given.map(([, value]) => value)],
    );
    return rows.length > 0;
  }

  /**
   * Removes a pool, which is locked, with its queues and workers. Runs that wait there go on waiting, in no queue. Rides
   * `flow_run_queued_idx`.
   */
  async delete(tx: Tx, name: string): Promise<void> {
    await tx.query(
      `with pool as (
         delete from ${this.schema}.work_pool where name = $1 returning id
       ), queue as (
         delete from ${this.schema}.work_queue q using pool where q.work_pool_id = pool.id returning q.id
       ), worker as (
         delete from ${this.schema}.worker w using pool where w.work_pool_id = pool.id
       ), run as (
         update ${this.schema}.flow_run r
            set work_queue_id = null, work_queue_name = null, fair_line_id = null, updated = now()
           from queue
          where r.work_queue_id = queue.id and r.state_type = 'SCHEDULED' and r.process_id is null
       )
       select id from pool`,
      [name],
    );
  }

  find(name: string): Promise<WorkPoolEntity | null> {
    return this.pools.findOneBy({ name });
  }

  findById(id: string): Promise<WorkPoolEntity | null> {
    return this.pools.findOneBy({ id });
  }

  /** By name, those after `after`, if one is given. */
  list({ limit, after }: { readonly limit: number; readonly after?: string }): Promise<WorkPoolEntity[]> {
    const query = this.pools.createQueryBuilder('p');
    // Byte by byte, whatever the database's language: pages must not depend on it.
    if (after !== undefined) query.where('p.name collate "C" > :after', { after });
    return query.orderBy('p.name collate "C"').limit(limit).getMany();
  }

  /**
   * Brings the statuses of pools up to date with what follows from: whether they are paused, and whether a worker is there.
   * Locks those that change; one that somebody else changes at this moment is theirs.
   *
   * @param name of which pool; `null` for all.
   */
  async settleStatuses(tx: Tx, name: string | null): Promise<PoolTransition[]> {
    return tx.query<PoolTransition>(
      `with due as materialized (${this.unsettled()}
            for no key update of p skip locked
       ), changed as (
         update ${this.schema}.work_pool p
            set status = due.status, last_transitioned_status_at = clock_timestamp(), updated = now()
           from due
          where p.id = due.id
         returning p.id, p.name, p.type, p.status
       )
       select id, name, type, status from changed`,
      [name],
    );
  }

  /** Whether any pool is in another status than it should be: see {@link settleStatuses}. */
  lookForUnsettled(): Look {
    return { text: this.unsettled(), parameters: [null], finds: 'rows' };
  }

  private unsettled(): string {
    return `
         select p.id, s.status
           from ${this.schema}.work_pool p
          cross join lateral (
            select case when p.is_paused then 'PAUSED'
                        when exists (select from ${this.schema}.worker w
                                      where w.work_pool_id = p.id and w.status = 'ONLINE') then 'READY'
                        else 'NOT_READY' end as status) as s
          where p.name = coalesce($1, p.name) and p.status <> s.status
          order by p.id`;
  }

  /** Notes which event said that a pool came into its status. */
  async noteStatusEvent(tx: Tx, id: string, eventId: string): Promise<void> {
    await tx.query(`update ${this.schema}.work_pool set last_status_event_id = $2 where id = $1`, [id, eventId]);
  }
}

function textOf(text: string | null): string | null {
  return text === null ? null : storableText(text);
}
