import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';

/** Removes log lines that are older than they are kept, or whose runs are gone. */
@Injectable()
export class ExpiredLogsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Removes up to `limit` lines of a partition from before an instant, oldest first. Rides the primary key of the partition. */
  async removeBefore(tx: Tx, partition: string, before: string, limit: number): Promise<number> {
    const table = `${this.schema}.${partition}`;
    const [row] = await tx.query<{ removed: number }>(
      `with gone as (
         delete from ${table}
          where ctid = any(array(select ctid from ${table} where timestamp < $1 order by timestamp, id limit $2))
         returning 1
       )
       select count(*)::int as removed from gone`,
      [before, limit],
    );
    return row?.removed ?? 0;
  }

  /** Removes up to `limit` lines of flow runs that are gone. Rides `log_flow_run_idx`. */
  async removeOfGone(tx: Tx, flowRunIds: readonly string[], limit: number): Promise<number> {
    const [row] = await tx.query<{ removed: number }>(
      `with chosen as materialized (
         select l.timestamp, l.id
           from unnest($1::uuid[]) as gone(id)
          cross join lateral (
            select l.timestamp, l.id from ${this.schema}.log l where l.flow_run_id = gone.id order by l.timestamp limit $2) as l
          limit $2
       ), gone as (
         delete from ${this.schema}.log l
          where l.timestamp = any(array(select timestamp from chosen)) and l.id in (select id from chosen)
            and l.flow_run_id = any($1::uuid[])
         returning 1
       )
       select count(*)::int as removed from gone`,
      [flowRunIds, limit],
    );
    return row?.removed ?? 0;
  }
}
