import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { ENDED } from './ended-before.js';
import type { ScannedRows } from './scanned-rows.js';

/**
 * Removes artifacts that are older than they are kept, or whose runs are gone. What was published last under a key stays in
 * `artifact_collection`.
 */
@Injectable()
export class ExpiredArtifactsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /**
   * Removes those from before an instant, among up to `limit` of a partition from the id `after` on. Those of flow runs that have
   * not ended stay. Rides the primary keys of the partition and of the runs.
   */
  async removeBefore(
    tx: Tx,
    partition: string,
    before: string,
    after: string | null,
    limit: number,
  ): Promise<ScannedRows> {
    const table = `${this.schema}.${partition}`;
    const [row] = await tx.query<ScannedRows>(
      `with page as materialized (
         select ctid, id, created, flow_run_id from ${table} where $2::uuid is null or id > $2::uuid order by id limit $3
       ), gone as (
         delete from ${table}
          where ctid = any(array(
            select p.ctid from page p
             where p.created < $1
               and not exists (
                 select from ${this.schema}.flow_run r
                  where r.id = p.flow_run_id and r.state_type not in ${ENDED})))
         returning 1
       )
       select (select count(*) from page)::int as seen, (select count(*) from gone)::int as removed,
              (select id::text from page order by id desc limit 1) as last`,
      [before, after, limit],
    );
    return row!;
  }

  /** Removes up to `limit` of flow runs that are gone. Rides `artifact_flow_run_idx`. */
  removeOfGone(tx: Tx, flowRunIds: readonly string[], limit: number): Promise<number> {
    return this.remove(
      tx,
      `select a.id from ${this.schema}.artifact a where a.flow_run_id = any($1::uuid[]) limit $2`,
      [flowRunIds, limit],
    );
  }

  /** Removes up to `limit` of a partition that belong to runs, as they lie there: all of them are to go. */
  removeOfRuns(tx: Tx, partition: string, limit: number): Promise<number> {
    return this.remove(
      tx,
      `select a.id from ${this.schema}.${partition} a where a.flow_run_id is not null or a.task_run_id is not null limit $1`,
      [limit],
    );
  }

  /** Whether a partition has artifacts that belong to no run. Rides `artifact_flow_run_idx`. */
  async hasOthers(tx: Tx, partition: string): Promise<boolean> {
    const [row] = await tx.query<{ found: boolean }>(
      `select exists (
         select from ${this.schema}.${partition} where flow_run_id is null and task_run_id is null) as found`,
    );
    return row?.found ?? false;
  }

  private async remove(tx: Tx, chosen: string, parameters: readonly unknown[]): Promise<number> {
    const [row] = await tx.query<{ removed: number }>(
      `with gone as (delete from ${this.schema}.artifact where id = any(array(${chosen})) returning 1)
       select count(*)::int as removed from gone`,
      parameters,
    );
    return row?.removed ?? 0;
  }
}
