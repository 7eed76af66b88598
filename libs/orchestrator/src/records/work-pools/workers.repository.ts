import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { newId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableJson, storableText } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { WorkerEntity } from './worker.entity.js';

/** A sign of life of a worker. */
interface WorkerBeat {
  readonly poolName: string;
  readonly name: string;
  /** The process that it is part of; `null` for one that polls over HTTP. */
  readonly processId: string | null;
  readonly intervalSeconds: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Its queues, by name; `null` for all of the pool. */
  readonly queueNames: readonly string[] | null;
}

/** Missing so many heartbeats a worker is taken for gone. */
const MISSED_BEATS = 3;

@Injectable()
export class WorkersRepository {
  private readonly workers: Repository<WorkerEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.workers = dataSource.getRepository(WorkerEntity);
    this.schema = schemaOf(dataSource);
  }

  /**
   * Notes that a worker is there, and that the runs of its queues are asked for. Tells whether it is new, or comes back;
   * `null` when there is no such pool.
   */
  async beat(tx: Tx, beat: WorkerBeat): Promise<'came' | 'stays' | null> {
    const { poolName, name, processId, intervalSeconds, metadata, queueNames } = beat;
    const [row] = await tx.query<{ came: boolean }>(
      `with pool as (
         select id from ${this.schema}.work_pool where name = $1
       ), before as (
         select w.status from ${this.schema}.worker w join pool on pool.id = w.work_pool_id where w.name = $3
       ), beat as (
         insert into ${this.schema}.worker
           (id, work_pool_id, name, process_id, heartbeat_interval_seconds, metadata, last_heartbeat_time, status)
         select $2, pool.id, $3, $4, $5, $6::jsonb, clock_timestamp(), 'ONLINE' from pool
         on conflict (work_pool_id, name) do update
           set process_id = excluded.process_id, heartbeat_interval_seconds = excluded.heartbeat_interval_seconds,
               metadata = excluded.metadata, last_heartbeat_time = excluded.last_heartbeat_time, status = 'ONLINE',
               updated = now()
         returning id
       ), polled as (
         update ${this.schema}.work_queue q
            set last_polled = clock_timestamp()
           from (select q.id
                   from ${this.schema}.work_queue q join pool on pool.id = q.work_pool_id
                  where $7::text[] is null or q.name = any($7::text[])
                  order by q.id
                    for no key update of q skip locked) as served
          where q.id = served.id
       )
       select not exists (select from before where status = 'ONLINE') as came from beat`,
      [poolName, newId(), storableText(name), processId, intervalSeconds, storableJson(metadata), queueNames],
    );
    if (!row) return null;
    return row.came ? 'came' : 'stays';
  }

  /** Notes that a worker leaves, unless another process is that worker by now. */
  async leave(tx: Tx, poolName: string, name: string, processId: string): Promise<void> {
    await tx.query(
      `update ${this.schema}.worker w
          set status = 'OFFLINE', updated = now()
         from ${this.schema}.work_pool p
        where p.id = w.work_pool_id and p.name = $1 and w.name = $2 and w.process_id = $3`,
      [poolName, name, processId],
    );
  }

  /** Notes which workers have not been heard of for too long, and forgets those of processes that are gone for a day. */
  async settleStatuses(tx: Tx): Promise<void> {
    await tx.query(
      `with gone as (
         delete from ${this.schema}.worker w where ${IS_GONE}
       ), silent as materialized (
         select w.id
           from ${this.schema}.worker w
          where ${IS_SILENT}
          order by w.id
            for no key update skip locked
       )
       update ${this.schema}.worker w set status = 'OFFLINE', updated = now() from silent where w.id = silent.id`,
    );
  }

  /** Whether there are any for {@link settleStatuses}. */
  lookForUnsettled(): Look {
    return {
      text: `select w.id from ${this.schema}.worker w where ${IS_GONE} or ${IS_SILENT}`,
      parameters: [],
      finds: 'rows',
    };
  }

  /** Those of a pool, by name. */
  listOf(poolId: string): Promise<WorkerEntity[]> {
    return this.workers.find({ where: { workPoolId: poolId }, order: { name: 'ASC' } });
  }
}

const IS_GONE = `w.status = 'OFFLINE' and w.process_id is not null
            and w.last_heartbeat_time < clock_timestamp() - interval '1 day'`;
const IS_SILENT = `w.status = 'ONLINE'
            and w.last_heartbeat_time
                < clock_timestamp() - ${MISSED_BEATS} * w.heartbeat_interval_seconds * interval '1 second'`;
