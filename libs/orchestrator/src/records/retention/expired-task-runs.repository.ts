import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { endedBefore } from './ended-before.js';
import type { FlowRunPage, FlowRunScan, SurveyedRuns } from './expired-flow-runs.repository.js';
import { FOREIGN_PAYLOADS, withPayloads, type ForeignPayload } from './payload-references.js';

interface RemovedTaskRuns {
  readonly removed: number;
  readonly logs: number;
  readonly artifacts: number;
  readonly foreign: readonly ForeignPayload[];
}

/** What a task run logged after its end, or was published in its name, is not far from it. */
const AFTERWARDS = `interval '1 hour'`;

/** Task runs of flow runs that are gone, and those of no flow run that have ended longer ago than they are kept. */
@Injectable()
export class ExpiredTaskRunsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Removes up to `limit` task runs of flow runs that are gone. Rides `task_run_flow_run_idx`. */
  async removeOfGone(tx: Tx, flowRunIds: readonly string[], limit: number): Promise<RemovedTaskRuns> {
    const chosen = `
      select t.id
        from unnest($1::uuid[]) as gone(id)
       cross join lateral (
         select t.id from ${this.schema}.task_run t where t.flow_run_id = gone.id order by t.id limit $2) as t
       limit $2`;
    const [row] = await tx.query<RemovedTaskRuns>(
      `with chosen as materialized (${chosen}), ${this.removeChosen()}
       select (select count(*) from runs)::int as removed, 0 as logs, 0 as artifacts, ${FOREIGN_PAYLOADS} as foreign`,
      [flowRunIds, limit],
    );
    return row!;
  }

  /** Looks at the next task runs of no flow run that are old enough. Rides `task_run_flow_run_idx`. */
  scan(tx: Tx, scan: FlowRunScan): Promise<FlowRunPage> {
    return this.scanIn(tx, scan, `${this.schema}.task_run`, `t.id < ${this.schema}.uuid_floor($2::timestamptz)`);
  }

  /** The same in the partition for runs whose ids say nothing of their time. */
  scanOthers(tx: Tx, scan: FlowRunScan): Promise<FlowRunPage> {
    return this.scanIn(tx, scan, `${this.schema}.task_run_default`, 'true');
  }

  /**
   * Removes task runs of no flow run with all they have. Those that were put into the queue again meanwhile stay. Locks the
   * runs, and skips those that somebody else has locked. Rides the primary keys, `artifact_task_run_idx`, and
   * `log_flow_run_idx` for the time in which the runs were there.
   */
  async remove(tx: Tx, app: string, ids: readonly string[], before: string): Promise<RemovedTaskRuns> {
    const { schema } = this;
    const chosen = `
      select t.id, t.created, coalesce(t.end_time, t.state_timestamp) as ended from ${schema}.task_run t
       where t.id = any($1::uuid[]) and t.flow_run_id is null and ${endedBefore('t', '$2')} and ${this.isUnqueued('t', '$3')}
       order by t.id
         for update skip locked`;
    const [row] = await tx.query<RemovedTaskRuns>(
      `with chosen as materialized (${chosen}), ${this.removeChosen()}, lines as (
         delete from ${schema}.log
          where flow_run_id is null and task_run_id = any(array(select id from chosen))
            and timestamp >= (select min(created) from chosen) - ${AFTERWARDS}
            and timestamp < (select max(ended) from chosen) + ${AFTERWARDS}
         returning 1
       ), published as (
         delete from ${schema}.artifact where task_run_id = any(array(select id from chosen)) returning 1
       )
       select (select count(*) from runs)::int as removed, (select count(*) from lines)::int as logs,
              (select count(*) from published)::int as artifacts, ${FOREIGN_PAYLOADS} as foreign`,
      [ids, before, app],
    );
    return row!;
  }

  /** As that of flow runs, for task runs of none. Rides `task_run_flow_run_idx`. */
  async survey(tx: Tx, { app, before, after, limit }: FlowRunScan, until: string): Promise<SurveyedRuns> {
    const [row] = await tx.query<SurveyedRuns>(
      `with page as materialized (
         select t.id, t.state_type, t.end_time, t.state_timestamp
           from ${this.schema}.task_run t
          where t.flow_run_id is null and ($3::uuid is null or t.id > $3::uuid)
            and t.id < ${this.schema}.uuid_floor($5::timestamptz)
          order by t.id limit $4
       )
       select count(*)::int as seen, (select id::text from page order by id desc limit 1) as last,
              coalesce(bool_or(not (${endedBefore('p', '$2')} and ${this.isUnqueued('p', '$1')})), false) as "isWanted",
              array[]::text[] as "reachingOver"
         from page p`,
      [app, before, after, limit, until],
    );
    return row!;
  }

  /** What goes with the task runs whose ids are `chosen`. */
  private removeChosen(): string {
    const { schema } = this;
    const ofChosen = (column: string): string => `${column} = any(array(select id from chosen))`;
    return `
      queued as (
        delete from ${schema}.task_queue where ${ofChosen('task_run_id')}
      ), hooks as (
        delete from ${schema}.owed_hooks where ${ofChosen('run_id')} returning arguments
      ), states as (
        delete from ${schema}.task_run_state where ${ofChosen('task_run_id')}
      ), runs as (
        delete from ${schema}.task_run where ${ofChosen('id')} returning parameters, result
      ), ${withPayloads(schema, [
        'select parameters::text from runs',
        'select result::text from runs',
        'select arguments::text from hooks',
      ])}`;
  }

  private async scanIn(
    tx: Tx,
    { app, before, after, limit }: FlowRunScan,
    table: string,
    condition: string,
  ): Promise<FlowRunPage> {
    const [row] = await tx.query<FlowRunPage>(
      `with page as materialized (
         select t.id, t.state_type, t.end_time, t.state_timestamp
           from ${table} t
          where t.flow_run_id is null and ($3::uuid is null or t.id > $3::uuid) and ${condition}
          order by t.id limit $4
       )
       select (select count(*) from page)::int as seen, (select id::text from page order by id desc limit 1) as last,
              array(
                select p.id::text from page p
                 where ${endedBefore('p', '$2')} and ${this.isUnqueued('p', '$1')} order by p.id) as ids`,
      [app, before, after, limit],
    );
    return row!;
  }

  /** Nobody is to execute it; a dead letter goes with its run, but only that of the application itself. */
  private isUnqueued(run: string, app: string): string {
    return `not exists (
      select from ${this.schema}.task_queue q where q.task_run_id = ${run}.id and (q.dead_at is null or q.app <> ${app}))`;
  }
}
