import type { Client } from 'pg';
import { note } from './report.js';
import { withClient } from './server.js';

const PER_STATEMENT = 100_000;
const TASKS_PER_FLOW_RUN = 1_000;

/**
 * Stores completed task runs as if the application had run them since the week began, a thousand to a flow run: rows like
 * those the engine writes, in the same partitions, with their histories.
 *
 * @param flowName a flow that the application has registered.
 */
export async function storeRuns(url: string, { flowName, count }: { flowName: string; count: number }): Promise<void> {
  await withClient(url, async (client) => {
    const span = await spanOfWeek(client);
    await createHelpers(client, { ...span, count });
    await client.query(STORE_FLOW_RUNS, [flowName, Math.ceil(count / TASKS_PER_FLOW_RUN)]);
    for (let first = 0; first < count; first += PER_STATEMENT) {
      const next = Math.min(first + PER_STATEMENT, count);
      await client.query(STORE_TASK_RUNS, [first, next - 1]);
      if (next % (PER_STATEMENT * 10) === 0 || next === count) note(`  stored ${next} of ${count} task runs`);
    }
    // What is generated in one go has no statistics yet, and autovacuum would come in the middle of a round.
    await client.query(
      'vacuum (analyze) nestor.flow_run, nestor.flow_run_state, nestor.task_run, nestor.task_run_state',
    );
  });
}

async function spanOfWeek(client: Client): Promise<{ from: string; to: string }> {
  const { rows } = await client.query<{ from: string; to: string }>(
    `select (date_trunc('week', now() at time zone 'UTC') at time zone 'UTC')::text as from, now()::text as to`,
  );
  const [span] = rows;
  if (!span) throw new Error('The server did not tell the time.');
  return span;
}

/** For this session only. They are inlined into the statements below. */
async function createHelpers(client: Client, { from, to, count }: { from: string; to: string; count: number }) {
  await client.query(`
    create function pg_temp.at(number bigint) returns timestamptz language sql immutable
      as $$ select timestamptz '${from}' + (timestamptz '${to}' - timestamptz '${from}') * (number::float8 / ${count}) $$`);
  // Time-ordered (version 7), so that a row lands in the partition of its week and beside its neighbours in the index.
  await client.query(`
    create function pg_temp.id_at(at timestamptz, salt bigint) returns uuid language sql immutable
      as $$ select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0')
                    || '7' || lpad(to_hex(abs(salt) % 4096), 3, '0')
                    || '8' || substr(md5(salt::text), 1, 15))::uuid $$`);
  await client.query(`
    create function pg_temp.flow_run_id(number bigint) returns uuid language sql immutable
      as $$ select pg_temp.id_at(pg_temp.at(number * ${TASKS_PER_FLOW_RUN}), -4 * (number + 1)) $$`);
}

/** The life of a flow run, of 2 ms: an id per state, the first of which follows none. */
const LIFE = `
  (values (1, 'PENDING', 'Pending', interval '0'),
          (2, 'RUNNING', 'Running', interval '100 microseconds'),
          (3, 'COMPLETED', 'Completed', interval '2 milliseconds')) as life(step, type, name, age)`;

const STORE_FLOW_RUNS = `
  with call as materialized (
    select number, pg_temp.flow_run_id(number) as id, pg_temp.at(number * ${TASKS_PER_FLOW_RUN}) as at,
           -4 * (number + 1) as salt
      from generate_series(0, $2::bigint - 1) as number
  ), run as (
    insert into nestor.flow_run (
      id, created, updated, flow_id, root_flow_run_id, name, parameters, result, empirical_policy, state_id, state_type,
      state_name, state_timestamp, run_count, expected_start_time, start_time, end_time, total_run_time_us)
    select call.id, at, at, flow.id, call.id, 'stored-' || number, '{"0":${TASKS_PER_FLOW_RUN}}', to_json(call.id),
           '{"retries":0,"resuming":false,"pauseKeys":[],"retryType":null,"retryDelaysMs":[]}',
           pg_temp.id_at(at, salt - 3), 'COMPLETED', 'Completed', at + interval '2 milliseconds', 1, at,
           at + interval '100 microseconds', at + interval '2 milliseconds', 1900
      from call, nestor.flow where flow.name = $1
  )
  insert into nestor.flow_run_state (flow_run_id, timestamp, id, type, name, follows)
  select call.id, at + age, pg_temp.id_at(at, salt - step), type, name,
         case when step > 1 then pg_temp.id_at(at, salt - step + 1) end
    from call, ${LIFE} order by call.id, step`;

const STORE_TASK_RUNS = `
  with call as materialized (
    select number, pg_temp.id_at(pg_temp.at(number), 4 * number) as id, pg_temp.at(number) as at, 4 * number as salt,
           number / ${TASKS_PER_FLOW_RUN} as flow_run_number
      from generate_series($1::bigint, $2::bigint) as number
  )
  insert into nestor.task_run (
    id, created, updated, flow_run_id, name, task_key, dynamic_key, flow_run_run_count, empirical_policy, result,
    pending_state_id, running_state_id, state_id, state_type, state_name, state_timestamp, run_count,
    expected_start_time, start_time, end_time, total_run_time_us)
  select id, at, at, pg_temp.flow_run_id(flow_run_number), 'noOp-83C', 'BenchFlows.noOp',
         '83Csydi3NNkH0XfvKfcNQQ-' || number % ${TASKS_PER_FLOW_RUN}, 1, '{"retries":0,"retryDelaysMs":[]}',
         '{"$nestor":"undefined"}', pg_temp.id_at(at, salt + 1), pg_temp.id_at(at, salt + 2), pg_temp.id_at(at, salt + 3),
         'COMPLETED', 'Completed', at + interval '2 milliseconds', 1, at, at + interval '100 microseconds',
         at + interval '2 milliseconds', 1900
    from call`;
