import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { ENDED, endedBefore } from './ended-before.js';
import { removalOf, type RemovedRuns } from './removal-statement.js';
import type { PassHolder } from './retention-passes.repository.js';

/** Where among the flow runs to look. */
export interface FlowRunScan {
  readonly app: string;
  /** Runs that ended before are to go. */
  readonly before: string;
  /** The last id that was looked at; `null` at the beginning. */
  readonly after: string | null;
  readonly limit: number;
}

/** A page of flow runs. */
export interface FlowRunPage {
  readonly seen: number;
  readonly last: string | null;
  /** Those that may go with all that is within them. */
  readonly ids: readonly string[];
}

/** The weeks that are to be dropped, and when those end. */
interface SurveyBounds {
  /** Runs up to here are looked at: some more than those of the weeks, because clocks differ. */
  readonly until: string;
  readonly end: string;
  /** Whoever ended after this may have left something in the week after. */
  readonly late: string;
}

/** A page of flow runs of weeks that are to be dropped. */
export interface SurveyedRuns {
  readonly seen: number;
  readonly last: string | null;
  /** Whether one of them has to stay. */
  readonly isWanted: boolean;
  /** The outermost runs of those that ended late: something of them may be in the week after. */
  readonly reachingOver: readonly string[];
}

/** Instants, as statements take them. */
interface RemovalTimes {
  /** Runs that ended before are to go. */
  readonly before: string;
  readonly now: string;
}

/**
 * Flow runs that have ended longer ago than they are kept. Their ids say when they were created, so that those that are to
 * go come first, and nothing has to be looked at that was created after the border.
 */
@Injectable()
export class ExpiredFlowRunsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Looks at the next runs that are old enough to have ended before the border. Rides `flow_run_pkey`. */
  scan(tx: Tx, scan: FlowRunScan): Promise<FlowRunPage> {
    return this.scanIn(tx, scan, `${this.schema}.flow_run`, `r.id < ${this.schema}.uuid_floor($2::timestamptz)`);
  }

  /** The same in the partition for runs whose ids say nothing of their time: looks at all of them. */
  scanOthers(tx: Tx, scan: FlowRunScan): Promise<FlowRunPage> {
    return this.scanIn(tx, scan, `${this.schema}.flow_run_default`, 'true');
  }

  /**
   * Removes runs as {@link removalOf} says. Those that have gone on meanwhile stay, and so do all when the pass is somebody
   * else's by now. Locks the runs, skips those that somebody else has locked, and takes the row of the pass before.
   */
  async remove(
    tx: Tx,
    { app, processId }: PassHolder,
    ids: readonly string[],
    { before, now }: RemovalTimes,
  ): Promise<RemovedRuns> {
    const { schema } = this;
    const [row] = await tx.query<RemovedRuns>(
      removalOf(schema, {
        outermost: `me as materialized (
          select app from ${schema}.retention_pass where app = $1 and process_id = $2 for no key update
        ), outermost as materialized (
          select r.id, r.auto_scheduled, r.expected_start_time from ${schema}.flow_run r
           where r.id = any($3::uuid[]) and ${endedBefore('r', '$4')} and exists (select from me)
           order by r.id
             for update skip locked
        )`,
        noted: `
          update ${schema}.retention_pass set removing = removing || array(select id from runs)
           where app = $1 and process_id = $2`,
        now: '$5',
      }),
      [app, processId, ids, before, now],
    );
    return row!;
  }

  /**
   * Looks whether the flow runs of a week, and all before it, may go, page by page; in the order of their ids, so that one of an
   * earlier week that stays is found first. Rides `flow_run_pkey`.
   */
  async survey(
    tx: Tx,
    { app, before, after, limit }: FlowRunScan,
    { until, end, late }: SurveyBounds,
  ): Promise<SurveyedRuns> {
    const [row] = await tx.query<SurveyedRuns>(
      `with page as materialized (
         select r.id, r.app, r.root_flow_run_id, r.state_type, r.end_time, r.state_timestamp
           from ${this.schema}.flow_run r
          where ($3::uuid is null or r.id > $3::uuid) and r.id < ${this.schema}.uuid_floor($5::timestamptz)
          order by r.id limit $4
       )
       select count(*)::int as seen, (select id::text from page order by id desc limit 1) as last,
              coalesce(bool_or(p.app <> $1 or not (${endedBefore('p', '$2')})), false) as "isWanted",
              array(select distinct root_flow_run_id::text from page
                     where coalesce(end_time, state_timestamp) >= $6::timestamptz
                       and id < ${this.schema}.uuid_floor($7::timestamptz)) as "reachingOver"
         from page p`,
      [app, before, after, limit, until, late, end],
    );
    return row!;
  }

  /** Whether there are runs from before an instant, flow runs or task runs. Rides the primary keys. */
  async areAnyBefore(tx: Tx, until: string): Promise<boolean> {
    const among = (table: string): string =>
      `exists (select from ${this.schema}.${table} where id < ${this.schema}.uuid_floor($1::timestamptz))`;
    const [row] = await tx.query<{ found: boolean }>(`select ${among('flow_run')} or ${among('task_run')} as found`, [
      until,
    ]);
    return row?.found ?? false;
  }

  /** Forgets up to `limit` keys of the runs of a time. Rides `run_key_flow_run_idx`. */
  async forgetKeys(tx: Tx, from: string, until: string, limit: number): Promise<number> {
    const [row] = await tx.query<{ removed: number }>(
      `with gone as (
         delete from ${this.schema}.run_key
          where ctid = any(array(
            select ctid from ${this.schema}.run_key
             where flow_run_id >= ${this.schema}.uuid_floor($1::timestamptz)
               and flow_run_id < ${this.schema}.uuid_floor($2::timestamptz)
             order by flow_run_id limit $3))
         returning 1
       )
       select count(*)::int as removed from gone`,
      [from, until, limit],
    );
    return row?.removed ?? 0;
  }

  /** Forgets what the runs of a time still owed and waited for; of both there is little. */
  async forgetOwed(tx: Tx, from: string, until: string): Promise<void> {
    const within = (column: string): string =>
      `${column} >= ${this.schema}.uuid_floor($1::timestamptz) and ${column} < ${this.schema}.uuid_floor($2::timestamptz)`;
    await tx.query(
      `with hooks as (delete from ${this.schema}.owed_hooks where ${within('run_id')})
       delete from ${this.schema}.task_queue where ${within('task_run_id')} and dead_at is not null`,
      [from, until],
    );
  }

  /**
   * Outermost runs that have ended, with all within them; and what is left of a run that is gone. The condition of a run alone is
   * looked at again, under its lock, by whoever removes it.
   */
  private async scanIn(
    tx: Tx,
    { app, before, after, limit }: FlowRunScan,
    table: string,
    condition: string,
  ): Promise<FlowRunPage> {
    const [row] = await tx.query<FlowRunPage>(
      `with page as materialized (
         select r.id, r.app, r.root_flow_run_id, r.state_type, r.end_time, r.state_timestamp
           from ${table} r
          where ($3::uuid is null or r.id > $3::uuid) and ${condition} order by r.id limit $4
       )
       select (select count(*) from page)::int as seen, (select id::text from page order by id desc limit 1) as last,
              array(
                select p.id::text from page p
                 where p.app = $1 and ${endedBefore('p', '$2')}
                   and case when p.id = p.root_flow_run_id
                            then not exists (
                              select from ${this.schema}.flow_run s
                               where s.root_flow_run_id = p.id and s.parent_task_run_id is not null
                                 and s.state_type not in ${ENDED})
                            else not exists (
                              select from ${this.schema}.flow_run r where r.id = p.root_flow_run_id) end
                 order by p.id) as ids`,
      [app, before, after, limit],
    );
    return row!;
  }
}
