import type { TestDatabase } from '@nestor/testing';
import type { INestApplicationContext } from '@nestjs/common';
import { ORCHESTRATOR_DATA_SOURCE } from '../../../libs/orchestrator/src/persistence/tokens.js';
import type { OrchestratorDataSource } from '../../../libs/orchestrator/src/persistence/orchestrator-data-source.js';
import type { Tx } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { ExpiredArtifactsRepository } from '../../../libs/orchestrator/src/records/retention/expired-artifacts.repository.js';
import { ExpiredEventsRepository } from '../../../libs/orchestrator/src/records/retention/expired-events.repository.js';
import { ExpiredFlowRunsRepository } from '../../../libs/orchestrator/src/records/retention/expired-flow-runs.repository.js';
import { ExpiredLogsRepository } from '../../../libs/orchestrator/src/records/retention/expired-logs.repository.js';
import { ExpiredTaskRunsRepository } from '../../../libs/orchestrator/src/records/retention/expired-task-runs.repository.js';
import { UnwantedFlowRunsRepository } from '../../../libs/orchestrator/src/records/retention/unwanted-flow-runs.repository.js';
import { Retention } from '../../../libs/orchestrator/src/runtime/retention/retention.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { letPassBeDue, openWeek } from './support/kept.js';

/** In weeks that are over: as many events as task runs. */
const EVENTS = 120_000;
const FLOW_RUNS = 6_000;
const TASKS_PER_RUN = 20;
/** What a pass looks at of runs, and what the one before had left of the last ones that it removed. */
const MOST_PER_PASS = 60_000;

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Loops'?: number;
  readonly Plans?: readonly PlanNode[];
}

function readWhole(node: PlanNode): string[] {
  if (node['Actual Loops'] === 0) return [];
  const table = node['Relation Name'];
  const own = table !== undefined && node['Node Type'] === 'Seq Scan' ? [table] : [];
  return [...own, ...(node.Plans ?? []).flatMap(readWhole)];
}

describe('with more than a hundred thousand rows that are to go', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let large: Set<string>;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({
      ...{ url: database.url, app: 'shop', providers: [Stage] },
      // It looks after nothing but what the test asks for.
      ...{ services: false, worker: false, retention: { runs: '8d', events: '8d' } },
    });
    for (const weeksAgo of [4, 3, 2]) {
      await openWeek(database, 'event', 'occurred', weeksAgo);
      for (const [table, column] of PARTITIONED) await openWeek(database, table, column, weeksAgo);
    }
    await sql(database, SOME_EVENTS, [EVENTS]);
    await sql(database, SOME_RUNS, [FLOW_RUNS, TASKS_PER_RUN]);
    await sql(database, 'analyze');
    const rows = await sql<{ name: string }>(
      database,
      `select relname as name from pg_class where relnamespace = 'nestor'::regnamespace and relkind = 'r' and reltuples > 500`,
    );
    large = new Set(rows.map(({ name }) => name));
  }, 120_000);
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  /** Large tables that the statements of some work read from end to end; what they wrote is taken back. */
  const wholeTables = async (work: (tx: Tx) => Promise<unknown>): Promise<string[]> => {
    const issued: { text: string; parameters: readonly unknown[] }[] = [];
    const recorder = {
      query: async (text: string, parameters: readonly unknown[] = []) => {
        issued.push({ text, parameters });
        return [{}];
      },
    } as unknown as Tx;
    await work(recorder);
    const runner = app.get<OrchestratorDataSource>(ORCHESTRATOR_DATA_SOURCE).createQueryRunner();
    const whole: string[] = [];
    for (const { text, parameters } of issued) {
      await runner.query('begin');
      const rows = (await runner.query(`explain (analyze, format json) ${text}`, [...parameters])) as {
        'QUERY PLAN': string;
      }[];
      await runner.query('rollback');
      const [plan] = JSON.parse(rows[0]!['QUERY PLAN']) as { Plan: PlanNode }[];
      whole.push(...readWhole(plan!.Plan).filter((table) => large.has(table)));
    }
    await runner.release();
    return whole;
  };

  const now = (): string => new Date(Date.now() - 8 * 86_400_000).toISOString();
  const oldestRuns = async (limit: number): Promise<string[]> =>
    (await sql<{ id: string }>(database, `select id from nestor.flow_run order by id limit ${limit}`)).map(
      ({ id }) => id,
    );
  const week = (table: string): string => [...large].sort().find((name) => new RegExp(`^${table}_\\d{8}$`).test(name))!;

  it('no statement reads a large table from end to end [S24]', async () => {
    const runs = app.get(ExpiredFlowRunsRepository);
    const tasks = app.get(ExpiredTaskRunsRepository);
    const scan = { app: 'shop', before: now(), after: null, limit: 200 };
    const ids = await oldestRuns(200);
    const [first] = ids;
    const events = week('event');
    const named = (tx: Tx) => app.get(ExpiredEventsRepository).removeNamed(tx, events, 'shop.ping', now(), 1_000);
    const statements: Record<string, (tx: Tx) => Promise<unknown>> = {
      events: (tx) => app.get(ExpiredEventsRepository).removeBefore(tx, events, now(), 1_000),
      named,
      names: (tx) => app.get(ExpiredEventsRepository).namesIn(tx, events),
      receipts: (tx) => app.get(ExpiredEventsRepository).forgetReceipts(tx, now(), null, 1_000),
      open: (tx) => app.get(ExpiredEventsRepository).mayBeEmittedAgain(tx, now()),
      scan: (tx) => runs.scan(tx, scan),
      'scan from somewhere': (tx) => runs.scan(tx, { ...scan, after: first! }),
      remove: (tx) => runs.remove(tx, { app: 'shop', processId: first! }, ids, { before: now(), now: now() }),
      delete: (tx) => app.get(UnwantedFlowRunsRepository).remove(tx, 'shop', ids, now()),
      survey: (tx) => runs.survey(tx, { ...scan, limit: 1_000 }, { until: now(), end: now(), late: now() }),
      keys: (tx) => runs.forgetKeys(tx, new Date(0).toISOString(), now(), 1_000),
      'task runs': (tx) => tasks.scan(tx, scan),
      'survey of task runs': (tx) => tasks.survey(tx, { ...scan, limit: 1_000 }, now()),
      'task runs of gone': (tx) => tasks.removeOfGone(tx, ids, 1_000),
      'logs of gone': (tx) => app.get(ExpiredLogsRepository).removeOfGone(tx, ids, 1_000),
      'artifacts of gone': (tx) => app.get(ExpiredArtifactsRepository).removeOfGone(tx, ids, 1_000),
    };
    const whole: Record<string, string[]> = {};
    for (const [name, work] of Object.entries(statements)) {
      const tables = await wholeTables(work);
      if (tables.length > 0) whole[name] = tables;
    }
    expect(whole).toEqual({});
  }, 60_000);

  it('a pass removes so many rows one by one and no more, and the next ones all of the rest [S23] [S24]', async () => {
    // Somebody is at it in the oldest week: no week goes as a whole.
    await sql(
      database,
      `update nestor.flow_run set state_type = 'RUNNING', state_name = 'Running', end_time = null, start_time = now()
        where id = (select id from nestor.flow_run order by id limit 1)`,
    );
    let [flowRuns, taskRuns, passes] = [0, 0, 0];
    for (; passes < 20; passes += 1) {
      await letPassBeDue(database);
      const removed = await app.get(Retention).removeExpired();
      expect(removed!.flowRuns + removed!.taskRuns + removed!.logs).toBeLessThan(MOST_PER_PASS);
      flowRuns += removed!.flowRuns;
      taskRuns += removed!.taskRuns;
      if (removed!.flowRuns + removed!.taskRuns === 0) break;
    }
    expect({ flowRuns, taskRuns }).toEqual({ flowRuns: FLOW_RUNS - 1, taskRuns: (FLOW_RUNS - 1) * TASKS_PER_RUN });
    expect(passes).toBeGreaterThan(1);
    const [left] = await sql(
      database,
      `select (select count(*) from nestor.flow_run)::int as "flowRuns", (select count(*) from nestor.task_run)::int as "taskRuns",
              (select count(*) from nestor.event where occurred < now() - interval '8 days')::int as events`,
    );
    expect(left).toEqual({ flowRuns: 1, taskRuns: TASKS_PER_RUN, events: 0 });
  }, 120_000);

  it('weeks of them go as a whole in one pass, with what reaches into the week after [S24]', async () => {
    await sql(
      database,
      `update nestor.flow_run set state_type = 'COMPLETED', state_name = 'Completed', end_time = now() - interval '17 days'`,
    );
    await sql(database, SOME_RUNS, [FLOW_RUNS, TASKS_PER_RUN]);
    await letPassBeDue(database);
    const removed = await app.get(Retention).removeExpired();
    expect(removed!.partitions.filter((name) => name.startsWith('task_run_state_')).length).toBeGreaterThan(0);
    expect(removed!.taskRuns).toBeLessThan(FLOW_RUNS); // of those that ended in the last hour of a week alone
    const tables = ['flow_run', 'flow_run_state', 'task_run', 'task_run_state', 'log', 'run_key', 'retention_pass'];
    const counts = tables.map((table) => `(select count(*) from nestor.${table})::int as ${table}`);
    const [left] = await sql(database, `select ${counts.join(', ')}`);
    expect(left).toEqual({ ...Object.fromEntries(tables.map((table) => [table, 0])), retention_pass: 1 });
  }, 120_000);
});

const PARTITIONED = [
  ['flow_run', 'id'],
  ['task_run', 'id'],
  ['flow_run_state', 'timestamp'],
  ['task_run_state', 'timestamp'],
  ['log', 'timestamp'],
  ['artifact', 'id'],
  ['payload', 'id'],
  ['run_value', 'flow_run_id'],
] as const;

/** In weeks that are over, within some days. */
const SOME_EVENTS = `
  insert into nestor.event (occurred, id, event, resource_id)
  select now() - interval '17 days' - n * interval '4 seconds', gen_random_uuid(), 'shop.' || (array['ping', 'pong', 'paid'])[n % 3 + 1],
         'shop.' || n % 100
    from generate_series(1, $1::int) as n`;

/** A time-ordered id of that moment. */
const ID_AT = `overlay(overlay(gen_random_uuid()::text
  placing left(nestor.uuid_floor(at)::text, 13) from 1 for 13) placing '7' from 15 for 1)::uuid`;

const SOME_RUNS = `
  with run as materialized (
    select at, ${ID_AT} as id, (select id from nestor.flow limit 1) as flow_id
      from generate_series(1, $1::int) as n, lateral (select now() - interval '17 days' - n * interval '80 seconds' as at) as moment
  ), flow_runs as (
    insert into nestor.flow_run
      (id, flow_id, root_flow_run_id, name, app, state_type, state_name, state_id, state_timestamp, start_time, end_time)
    select id, flow_id, id, 'old', 'shop', 'COMPLETED', 'Completed', gen_random_uuid(), at, at, at from run
  ), states as (
    insert into nestor.flow_run_state (flow_run_id, timestamp, id, type, name)
    select id, at + number * interval '1 millisecond', gen_random_uuid(), 'RUNNING', 'Running'
      from run, generate_series(1, 3) as number
  ), keys as (
    insert into nestor.run_key (flow_id, key, flow_run_id) select flow_id, id::text, id from run
  ), lines as (
    insert into nestor.log (timestamp, id, name, level, message, flow_run_id)
    select at, gen_random_uuid(), 'old', 20, 'done', id from run
  ), task as materialized (
    select run.at, ${ID_AT.replaceAll('at)', 'run.at)')} as id, run.id as flow_run_id from run, generate_series(1, $2::int)
  ), task_runs as (
    insert into nestor.task_run
      (id, flow_run_id, name, task_key, dynamic_key, state_type, state_name, state_id, state_timestamp, end_time)
    select id, flow_run_id, 'old', 'old', '0', 'COMPLETED', 'Completed', gen_random_uuid(), at, at from task
  )
  insert into nestor.task_run_state (task_run_id, timestamp, id, type, name)
  select id, at, gen_random_uuid(), 'COMPLETED', 'Completed' from task`;
