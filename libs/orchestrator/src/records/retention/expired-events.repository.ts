import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { ScannedRows } from './scanned-rows.js';

/** Names beyond so many are not looked at for a pattern: then they are no names but data. */
const MAX_NAMES = 10_000;

/** Removes stored events that are older than they are kept, from one partition at a time. */
@Injectable()
export class ExpiredEventsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Removes up to `limit` events from before an instant, oldest first. Rides the primary key of the partition. */
  removeBefore(tx: Tx, partition: string, before: string, limit: number): Promise<number> {
    return this.remove(tx, partition, 'occurred < $1', [before, limit]);
  }

  /** The same for events of one name. Rides `event_name_idx`. */
  removeNamed(tx: Tx, partition: string, name: string, before: string, limit: number): Promise<number> {
    return this.remove(tx, partition, 'event = $3 and occurred < $1', [before, limit, name]);
  }

  /** The names of the events of a partition. Goes from name to name in `event_name_idx`, past all events that share one. */
  async namesIn(tx: Tx, partition: string): Promise<string[]> {
    const table = `${this.schema}.${partition}`;
    const rows = await tx.query<{ event: string }>(
      `with recursive name(event, number) as (
         (select event, 1 from ${table} order by event limit 1)
         union all
         select (select e.event from ${table} e where e.event > n.event order by e.event limit 1), n.number + 1
           from name n where n.event is not null and n.number <= $1
       )
       select event from name where event is not null`,
      [MAX_NAMES],
    );
    return rows.map(({ event }) => event);
  }

  /**
   * Forgets ids of events that were received before an instant, among up to `limit` from the id `after` on, in the partition
   * of ids that are of no week. Rides its primary key.
   */
  async forgetReceipts(tx: Tx, before: string, after: string | null, limit: number): Promise<ScannedRows> {
    const table = `${this.schema}.event_receipt_default`;
    const [row] = await tx.query<ScannedRows>(
      `with page as materialized (
         select ctid, id, received from ${table} where $2::uuid is null or id > $2::uuid order by id limit $3
       ), gone as (
         delete from ${table} where ctid = any(array(select ctid from page where received < $1)) returning 1
       )
       select (select count(*) from page)::int as seen, (select count(*) from gone)::int as removed,
              (select id::text from page order by id desc limit 1) as last`,
      [before, after, limit],
    );
    return row!;
  }

  /** Whether a run from before an instant may go on, and emit again what it has emitted. Rides the indexes of open runs. */
  async mayBeEmittedAgain(tx: Tx, before: string): Promise<boolean> {
    const open = (condition: string): string =>
      `exists (select from ${this.schema}.flow_run where ${condition} and id < ${this.schema}.uuid_floor($1::timestamptz))`;
    const [row] = await tx.query<{ open: boolean }>(
      `select ${open(`state_type in ('PENDING', 'RUNNING', 'CANCELLING', 'PAUSED')`)}
           or ${open(`state_type = 'SCHEDULED'`)} as open`,
      [before],
    );
    return row?.open ?? false;
  }

  /** By their places in the table, which the index leads to in order; nobody moves events. */
  private async remove(tx: Tx, partition: string, condition: string, parameters: readonly unknown[]): Promise<number> {
    const table = `${this.schema}.${partition}`;
    const [row] = await tx.query<{ removed: number }>(
      `with gone as (
         delete from ${table}
          where ctid = any(array(select ctid from ${table} where ${condition} order by occurred, id limit $2))
         returning 1
       )
       select count(*)::int as removed from gone`,
      parameters,
    );
    return row?.removed ?? 0;
  }
}
