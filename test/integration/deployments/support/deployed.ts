import type { TestDatabase } from '@nestor/testing';
import { sql } from '../../../support/sql.js';

/** A run of a deployment as its row has it. */
interface StoredDeployedRun {
  readonly id: string;
  readonly name: string;
  readonly idempotency_key: string;
  readonly state_type: string;
  readonly state_name: string;
  readonly auto_scheduled: boolean;
  readonly tags: readonly string[];
  readonly labels: Readonly<Record<string, unknown>>;
  readonly parameters: unknown;
  readonly created_by: { readonly id: string; readonly type: string; readonly display_value: string };
  readonly expected_start_time: Date;
  readonly next_scheduled_start_time: Date | null;
  readonly deployment_version: string | null;
  readonly job_variables: unknown;
  readonly schedule_id: string | null;
  readonly flow_version: string | null;
  readonly build_id: string | null;
}

/** All runs of a deployment, in the order of the times that they are runs of. */
export function runsOf(database: Pick<TestDatabase, 'url'>, deploymentId: string): Promise<StoredDeployedRun[]> {
  return sql<StoredDeployedRun>(
    database,
    'select * from nestor.flow_run where deployment_id = $1 order by expected_start_time, id',
    [deploymentId],
  );
}

/** Those of them that wait. */
export async function waitingRunsOf(
  database: Pick<TestDatabase, 'url'>,
  deploymentId: string,
): Promise<StoredDeployedRun[]> {
  return (await runsOf(database, deploymentId)).filter((run) => run.state_type === 'SCHEDULED');
}

/** Lets those of the runs that wait be due for so long already, as if their time had come. */
export async function makeDue(
  database: Pick<TestDatabase, 'url'>,
  runIds: readonly string[],
  seconds = 0,
): Promise<void> {
  const due = `now() - $2 * interval '1 second'`;
  await sql(
    database,
    `with runs as (update nestor.flow_run set next_scheduled_start_time = ${due}
                   where id = any($1) and state_type = 'SCHEDULED' returning state_id)
     update nestor.flow_run_state
        set state_details = state_details || jsonb_build_object('scheduledTime', ${asText(due)})
      where id in (select state_id from runs)`,
    [runIds, seconds],
  );
}

/** Lets all runs of a deployment, and its schedules, be of that much earlier, as if so much time had passed with nobody there. */
export async function shiftBack(database: Pick<TestDatabase, 'url'>, deploymentId: string, ms: number): Promise<void> {
  const by = `$2 * interval '1 millisecond'`;
  const earlier = (column: string): string => `${column} = ${column} - ${by}`;
  const key = `concat_ws(' ', 'scheduled', deployment_id, schedule_id, ${asText(`expected_start_time - ${by}`)})`;
  const scheduledTime = asText(`(state_details ->> 'scheduledTime')::timestamptz - ${by}`);
  await sql(
    database,
    `with runs as (
       update nestor.flow_run
          set ${earlier('expected_start_time')}, ${earlier('next_scheduled_start_time')}, idempotency_key = ${key}
        where deployment_id = $1 and state_type = 'SCHEDULED' returning state_id
     ), schedules as (
       update nestor.deployment_schedule set ${earlier('filled_until')}, ${earlier('fill_at')} where deployment_id = $1
     ), watch as (
       update nestor.schedule_watch w set seen_at = now() - ${by}
         from nestor.deployment d where d.id = $1 and w.app = d.app
     )
     update nestor.flow_run_state set state_details = state_details || jsonb_build_object('scheduledTime', ${scheduledTime})
      where id in (select state_id from runs)`,
    [deploymentId, ms],
  );
  const own = 'select id from nestor.flow_run where deployment_id = $1';
  await sql(database, `delete from nestor.run_key where flow_run_id in (${own})`, [deploymentId]);
  await sql(
    database,
    `insert into nestor.run_key (flow_id, key, flow_run_id)
     select flow_id, idempotency_key, id from nestor.flow_run where id in (${own})`,
    [deploymentId],
  );
}

const asText = (time: string): string => `to_char((${time}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
