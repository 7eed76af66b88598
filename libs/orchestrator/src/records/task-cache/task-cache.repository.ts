import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { timeAhead } from '../time-ahead.js';

/** What is remembered under a key. */
interface RememberedOutcome {
  /** Encoded, as its column holds it. */
  readonly result: string;
  readonly taskRunId: string | null;
}

/** Who asks for the lock of a key. */
interface CacheHolder {
  readonly processId: string;
  /** The task run, or the transaction. */
  readonly holderId: string;
}

/** Outcomes that are remembered across runs. A key belongs to an application. */
@Injectable()
export class TaskCacheRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /**
   * What is remembered and has not expired; `null` otherwise.
   *
   * @param leadUs see `DatabaseClock.leadUs`.
   */
  async find(tx: Tx, app: string, key: string, leadUs = 0): Promise<RememberedOutcome | null> {
    const [found] = await tx.query<RememberedOutcome>(
      `select result, task_run_id as "taskRunId" from ${this.schema}.task_cache
        where app = $1 and key = $2 and result is not null and (expires_at is null or expires_at > ${timeAhead('$3')})`,
      [app, key, leadUs],
    );
    return found ?? null;
  }

  /**
   * Takes the lock of a key: it is free when nobody holds it, or when the process that does is fenced or gone. Taking it twice
   * is as good as once.
   *
   * @returns whether it is held by the one who asks now.
   */
  async lock(tx: Tx, app: string, key: string, { processId, holderId }: CacheHolder): Promise<boolean> {
    const rows = await tx.query(
      `insert into ${this.schema}.task_cache as c (app, key, process_id, holder_id) values ($1, $2, $3, $4)
       on conflict (app, key) do update
          set process_id = excluded.process_id, holder_id = excluded.holder_id, updated = clock_timestamp()
        where c.holder_id is null or c.holder_id = excluded.holder_id
           or not exists (select from ${this.schema}.process p where p.id = c.process_id and p.fenced_at is null)
       returning 1`,
      [app, key, processId, holderId],
    );
    return rows.length > 0;
  }

  /** Lets go of the lock; a row that was nothing but a lock goes with it. */
  async unlock(tx: Tx, app: string, key: string, holderId: string): Promise<void> {
    await tx.query(
      `with gone as (
         delete from ${this.schema}.task_cache where app = $1 and key = $2 and holder_id = $3 and result is null
       )
       update ${this.schema}.task_cache set process_id = null, holder_id = null
        where app = $1 and key = $2 and holder_id = $3 and result is not null`,
      [app, key, holderId],
    );
  }

  /**
   * Remembers an outcome in place of what is remembered; whoever holds the lock goes on holding it.
   *
   * @param expiresInMs `null`: until it is replaced.
   * @param leadUs see `DatabaseClock.leadUs`.
   */
  async remember(
    tx: Tx,
    app: string,
    key: string,
    { result, taskRunId }: RememberedOutcome,
    expiresInMs: number | null,
    leadUs = 0,
  ): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.task_cache (app, key, result, task_run_id, expires_at)
       values ($1, $2, $3, $4, ${timeAhead('$6')} + $5 * interval '1 millisecond')
       on conflict (app, key) do update
          set result = excluded.result, task_run_id = excluded.task_run_id, expires_at = excluded.expires_at,
              updated = clock_timestamp()`,
      [app, key, result, taskRunId, expiresInMs, leadUs],
    );
  }

  /** Forgets what is remembered under a key. */
  async forget(tx: Tx, app: string, key: string): Promise<void> {
    await tx.query(
      `with gone as (delete from ${this.schema}.task_cache where app = $1 and key = $2 and holder_id is null)
       update ${this.schema}.task_cache set result = null, task_run_id = null, expires_at = null
        where app = $1 and key = $2 and holder_id is not null`,
      [app, key],
    );
  }

  /** Forgets up to `limit` outcomes that have expired. Rides `task_cache_expiry_idx`. */
  async forgetExpired(tx: Tx, limit: number): Promise<number> {
    const rows = await tx.query(
      `delete from ${this.schema}.task_cache c
        using (select app, key from ${this.schema}.task_cache
                where expires_at <= clock_timestamp() and holder_id is null
                order by expires_at limit $1 for update skip locked) as old
        where c.app = old.app and c.key = old.key
       returning 1`,
      [limit],
    );
    return rows.length;
  }
}
