import { Injectable } from '@nestjs/common';
import {
  Artifacts,
  BackgroundTasks,
  currentRun,
  Flow,
  Flows,
  FlowRuns,
  RunControl,
  sleep,
  Task,
  type PayloadStore,
} from '@nestor/orchestrator';
import { createTestingOrchestrator, type TestDatabase, type TestingOrchestrator } from '@nestor/testing';
import { ExpiredFlowRunsRepository } from '../../../libs/orchestrator/src/records/retention/expired-flow-runs.repository.js';
import { Retention } from '../../../libs/orchestrator/src/runtime/retention/retention.service.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { letPassBeDue, rowsOf, weeksOf } from './support/kept.js';

@Injectable()
class Reports {
  constructor(private readonly artifacts: Artifacts) {}

  /** One of everything that hangs on a run. */
  @Flow({ name: 'report', onCompletion: ['note'] })
  async report(pages: number): Promise<string> {
    currentRun().logger.log('begins');
    currentRun().now();
    const written: string[] = [];
    for (let page = 0; page < pages; page += 1) written.push(await this.write(page));
    await this.appendix(pages);
    await this.artifacts.markdown({ key: 'report', markdown: `# ${pages} pages` });
    return written.join('\n');
  }

  @Flow({ name: 'appendix' })
  async appendix(pages: number): Promise<string> {
    return this.write(pages);
  }

  @Task()
  async write(page: number): Promise<string> {
    currentRun().logger.log(`page ${page}`);
    return `page ${page} `.repeat(20_000); // too large for its row
  }

  @Task()
  async printOut(page: number): Promise<number> {
    currentRun().logger.log(`prints ${page}`);
    return page;
  }

  /** Goes on when all the others are long forgotten. */
  @Flow({ name: 'almanac' })
  async almanac(): Promise<string> {
    await this.write(1);
    await sleep('400d');
    return this.write(2);
  }

  private proofs = 0;

  /** Fails the first time. */
  @Flow({ name: 'proof' })
  async proof(): Promise<string> {
    this.proofs += 1;
    if (this.proofs === 1) throw new Error('a word is missing');
    return 'fine';
  }

  note(): void {}
}

/** Of an application's own. */
class Shelf implements PayloadStore {
  readonly name = 'shelf';
  readonly kept = new Map<string, Uint8Array>();

  async put(key: string, bytes: Uint8Array): Promise<void> {
    this.kept.set(key, bytes);
  }

  async get(key: string): Promise<Uint8Array | null> {
    return this.kept.get(key) ?? null;
  }

  async delete(key: string): Promise<void> {
    this.kept.delete(key);
  }
}

describe('runs that have ended long ago', () => {
  let database: TestDatabase;
  let nestor: TestingOrchestrator;
  const shelf = new Shelf();

  const start = async (options: Parameters<typeof createTestingOrchestrator>[0]): Promise<void> => {
    nestor = await createTestingOrchestrator({
      database,
      app: 'press',
      providers: [Reports],
      logger: false,
      ...options,
    });
  };
  beforeEach(async () => void (database = await testDatabase()));
  afterEach(async () => {
    jest.restoreAllMocks();
    await nestor.close({ abandonRuns: true });
    shelf.kept.clear();
    await database.drop();
  });

  const removeExpired = async () => {
    await letPassBeDue(database);
    return nestor.get(Retention).removeExpired();
  };
  /** A run that has ended, with one row at least of all that may hang on it; and those within it. */
  const ended = async (key: string): Promise<string[]> => {
    const { id } = await nestor.get(Flows).with({ idempotencyKey: key }).enqueue(Reports, 'report', 2);
    await nestor.get(FlowRuns).result(id);
    await sql(
      database,
      `with owed as (
         insert into nestor.owed_hooks (state_id, run_id, app, flow_id)
         select state_id, id, 'elsewhere', flow_id from nestor.flow_run where id = $1
       )
       insert into nestor.flow_run_input (flow_run_id, key, id, value) values ($1, 'remark', $1, '"late"')`,
      [id],
    );
    const rows = await sql<{ id: string }>(database, 'select id from nestor.flow_run where root_flow_run_id = $1', [
      id,
    ]);
    const ids = rows.map((row) => row.id);
    await linesOf(ids, 4);
    return ids;
  };
  /** The one of them that the others are part of. */
  const rootOf = async (ids: readonly string[]): Promise<string> =>
    (
      await sql<{ root: string }>(database, 'select root_flow_run_id as root from nestor.flow_run where id = $1', [
        ids[0],
      ])
    )[0]!.root;
  /** Lines are written behind the runs: waits until so many are there. */
  const linesOf = (ids: readonly string[], count: number): Promise<unknown> =>
    waitFor(async () => (await rowsOf(database, ids)).log === count);
  const payloads = async (): Promise<number> =>
    (await sql<{ count: number }>(database, 'select count(*)::int as count from nestor.payload'))[0]!.count;

  it('are kept for ever where somebody says so [S24]', async () => {
    await start({ retention: false });
    const ids = await ended('kept');
    const before = await rowsOf(database, ids);
    await nestor.clock.advance('1000d');
    expect(await removeExpired()).toMatchObject({ flowRuns: 0, taskRuns: 0, logs: 0, artifacts: 0 });
    expect(await rowsOf(database, ids)).toEqual(before);
  });

  it('go with everything that hangs on them, and their keys are free again; what goes on stays, and all of it [S24]', async () => {
    await start({ retention: { runs: '90d', logs: false } });
    const ids = await ended('today');
    const living = await nestor.get(Flows).start(Reports, 'almanac');
    const waiting = await nestor.get(Flows).with({ in: '500d' }).enqueue(Reports, 'report', 1);
    await nestor.clock.advance('89d');
    await linesOf([living.id], 1);
    const [rows, rowsOfLiving] = [await rowsOf(database, ids), await rowsOf(database, [living.id, waiting.id])];
    expect(Object.keys(rows).sort()).toEqual([
      ...['artifact', 'flow_run', 'flow_run_input', 'flow_run_state', 'log', 'owed_hooks', 'run_key', 'run_value'],
      ...['task_run', 'task_run_state'],
    ]);
    expect(await removeExpired()).toMatchObject({ flowRuns: 0, taskRuns: 0 });
    expect(await rowsOf(database, ids)).toEqual(rows);
    const before = await payloads();

    await nestor.clock.advance('2d');
    const removed = await removeExpired();
    expect(removed).toMatchObject({ flowRuns: 2, taskRuns: rows.task_run, logs: rows.log, artifacts: rows.artifact });
    expect(await rowsOf(database, ids)).toEqual({});
    expect(await rowsOf(database, [living.id, waiting.id])).toEqual(rowsOfLiving);
    expect(await payloads()).toBeLessThan(before);
    expect(await payloads()).toBeGreaterThan(0); // that of the run which goes on
    // What was published last is still known, though not by which run.
    expect(await nestor.get(Artifacts).latest('report')).toMatchObject({ data: '# 2 pages' });
    const [event] = await sql<{ payload: object }>(
      database,
      `select payload from nestor.event where event = 'nestor.retention.removed' order by recorded desc limit 1`,
    );
    expect(event!.payload).toEqual(removed);

    const again = await nestor.get(Flows).with({ idempotencyKey: 'today' }).enqueue(Reports, 'report', 1);
    expect(ids).not.toContain(again.id);
    await nestor.get(FlowRuns).result(again.id);

    await nestor.clock.advance('320d');
    expect(await nestor.get(FlowRuns).result(living.id)).toContain('page 2');
  }, 60_000);

  it('go before that when somebody deletes them, with everything that hangs on them [D12]', async () => {
    await start({ retention: false, payloads: { store: shelf } });
    const ids = await ended('today');
    const living = await nestor.get(Flows).start(Reports, 'almanac');
    await nestor.clock.advance('1d');
    await linesOf([living.id], 1);
    const [before, ofLiving] = [shelf.kept.size, await rowsOf(database, [living.id])];
    const flowRuns = nestor.get(FlowRuns);
    const root = await rootOf(ids);
    const subflow = ids.find((id) => id !== root)!;
    await expect(flowRuns.delete(subflow)).rejects.toMatchObject({
      code: 'FLOW_RUN_WITHIN_ANOTHER',
      rootFlowRunId: root,
    });
    expect(await flowRuns.deleteMany([subflow, root])).toEqual({ deleted: [subflow, root], refused: [] });
    expect(await rowsOf(database, ids)).toEqual({});
    expect(await flowRuns.find(root)).toBeNull();
    expect(await rowsOf(database, [living.id])).toEqual(ofLiving);
    expect(shelf.kept.size).toBeLessThan(before);
    expect(shelf.kept.size).toBeGreaterThan(0); // that of the run which goes on
    expect(await nestor.get(Artifacts).latest('report')).toMatchObject({ data: '# 2 pages' });
    const [pass] = await sql(database, 'select removing from nestor.retention_pass');
    expect(pass).toEqual({ removing: [] });
    const again = await nestor.get(Flows).with({ idempotencyKey: 'today' }).enqueue(Reports, 'report', 1);
    expect(ids).not.toContain(again.id);
    await nestor.get(FlowRuns).result(again.id);
  }, 60_000);

  it('leave what is left of them to the next pass when whoever deletes them breaks off, also where all is kept [D12]', async () => {
    await start({ retention: false });
    const ids = await ended('today');
    await nestor.clock.advance('1d');
    const ofLogs = (await weeksOf(database, 'log'))[0]!;
    await sql(
      database,
      `create function nestor.refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$`,
    );
    for (const table of [ofLogs, 'log_default']) {
      await sql(
        database,
        `create trigger refuse before delete on nestor.${table} for each row execute function nestor.refuse()`,
      );
    }
    const root = await rootOf(ids);
    await expect(nestor.get(FlowRuns).delete(root)).rejects.toThrow('not now');
    // Nobody finds a run without what belongs to it: the run itself has gone first.
    expect(Object.keys(await rowsOf(database, ids)).sort()).toEqual(['artifact', 'log']);
    expect(await nestor.get(FlowRuns).find(root)).toBeNull();
    await sql(database, `drop function nestor.refuse() cascade`);
    await removeExpired();
    expect(await rowsOf(database, ids)).toEqual({});
    expect(
      (await sql<{ removing: string[] }>(database, 'select removing from nestor.retention_pass'))[0]!.removing,
    ).toEqual([]);
  }, 60_000);

  it('go with their weeks as a whole when everything in those may go [S24]', async () => {
    await start({ retention: { runs: '90d', logs: false } });
    const ids = [...(await ended('one')), ...(await ended('other'))];
    const [week] = await weeksOf(database, 'flow_run');
    await nestor.clock.advance('100d');
    const removed = await removeExpired();
    const suffix = week!.slice('flow_run_'.length);
    const tables = ['artifact', 'flow_run', 'flow_run_input', 'flow_run_state', 'log', 'payload'];
    tables.push('run_value', 'task_run', 'task_run_state');
    expect(removed!.partitions).toEqual(expect.arrayContaining(tables.map((table) => `${table}_${suffix}`)));
    expect(await rowsOf(database, ids)).toEqual({});
    expect(await weeksOf(database, 'flow_run')).not.toContain(week);

    // A run whose id is of such a week, as that of a process whose clock is wrong, has a place all the same.
    const { id } = await nestor.get(Flows).start(Reports, 'report', 1);
    expect(await nestor.get(FlowRuns).result(id)).toContain('page 0');
  }, 60_000);

  it('leave their week to one that goes on, until that has ended as well [S24]', async () => {
    await start({ retention: { runs: '90d', logs: false } });
    const ids = await ended('one');
    const living = await nestor.get(Flows).start(Reports, 'almanac');
    const [week] = await weeksOf(database, 'flow_run');
    await nestor.clock.advance('120d');
    await removeExpired();
    expect(await rowsOf(database, ids)).toEqual({});
    expect(await weeksOf(database, 'flow_run')).toContain(week);
    await nestor.clock.advance('300d');
    expect(await nestor.get(FlowRuns).result(living.id)).toContain('page 2');
    await removeExpired();
    expect(await weeksOf(database, 'flow_run')).toContain(week); // it has ended, but not long ago
    await nestor.clock.advance('91d');
    await removeExpired();
    expect(await weeksOf(database, 'flow_run')).not.toContain(week);
    expect(await rowsOf(database, [living.id])).toEqual({});
  }, 60_000);

  it('are task runs outside of flows as well, those that wait in the queue excepted [S24]', async () => {
    await start({ retention: { runs: '90d', logs: false } });
    const tasks = nestor.get(BackgroundTasks);
    const done = await tasks.delay(Reports, 'printOut', 1);
    await done.result();
    const waiting = await tasks.with({ in: '500d' }).delay(Reports, 'printOut', 2);
    await nestor.clock.advance('120d');
    await waitFor(async () => (await sql(database, 'select from nestor.log')).length === 1);
    expect(await removeExpired()).toMatchObject({ taskRuns: 1, logs: 1 });
    const left = await sql<{ id: string }>(database, 'select id from nestor.task_run');
    expect(left.map(({ id }) => id)).toEqual([waiting.taskRunId]);
    expect(await sql(database, 'select from nestor.log')).toEqual([]);
  }, 60_000);

  it('go by themselves where artifacts or log lines are to be kept for less [S24]', async () => {
    await start({ retention: { runs: false, artifacts: '30d', logs: '10d' } });
    const ids = await ended('one');
    const { artifact, log, ...others } = await rowsOf(database, ids);
    await nestor.clock.advance('20d');
    expect(await removeExpired()).toMatchObject({ artifacts: 0, flowRuns: 0 });
    expect(await rowsOf(database, ids)).toEqual({ ...others, artifact });
    await nestor.clock.advance('20d');
    await removeExpired();
    expect(await rowsOf(database, ids)).toEqual(others);
    expect(log).toBeGreaterThan(0);
    expect(await nestor.get(Artifacts).latest('report')).toMatchObject({ data: '# 2 pages' });
  }, 60_000);

  it('take what they have in a store of the application with them', async () => {
    await start({ retention: { runs: '90d', logs: false }, payloads: { store: shelf } });
    await ended('one');
    expect(shelf.kept.size).toBeGreaterThan(0);
    const living = await nestor.get(Flows).start(Reports, 'almanac');
    await nestor.clock.advance('1d');
    const rows = await sql<{ key: string }>(
      database,
      `select result ->> 'key' as key from nestor.task_run where flow_run_id = $1 and result ->> 'store' = 'shelf'`,
      [living.id],
    );
    await nestor.clock.advance('120d');
    await removeExpired();
    expect([...shelf.kept.keys()]).toEqual(rows.map(({ key }) => key));
    // Rows lead to what is in a store: a week goes as a whole only once they have gone.
    const [week] = await weeksOf(database, 'flow_run');
    await nestor.clock.advance('400d');
    await nestor.get(FlowRuns).result(living.id);
    await nestor.clock.advance('91d');
    await removeExpired();
    expect(shelf.kept.size).toBe(0);
    await removeExpired();
    expect(await weeksOf(database, 'flow_run')).not.toContain(week);
  }, 60_000);

  it('leave nothing half when a pass breaks off: the next one goes on with it [S24]', async () => {
    await start({ retention: { runs: '90d', logs: false } });
    const ids = await ended('one');
    const living = await nestor.get(Flows).start(Reports, 'almanac'); // so that weeks do not go as a whole
    await nestor.clock.advance('120d');
    await sql(
      database,
      `create function nestor.refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$`,
    );
    const ofLogs = (await weeksOf(database, 'log'))[0]!;
    await sql(
      database,
      `create trigger refuse before delete on nestor.${ofLogs} for each row execute function nestor.refuse()`,
    );
    await expect(removeExpired()).rejects.toThrow('not now');
    // Nobody finds a run without what belongs to it: the run itself has gone first.
    expect(Object.keys(await rowsOf(database, ids)).sort()).toEqual(['artifact', 'log']);
    await sql(database, `drop function nestor.refuse() cascade`);
    await removeExpired();
    expect(await rowsOf(database, ids)).toEqual({});
    expect(await rowsOf(database, [living.id])).toMatchObject({ flow_run: 1, task_run: expect.any(Number) });
    const [pass] = await sql(database, 'select removing, process_id from nestor.retention_pass');
    expect(pass).toEqual({ removing: [], process_id: null });
  }, 60_000);

  it('stay when somebody sets one going again after its week was looked at, also when it has ended by the time that is dropped [S24]', async () => {
    await start({ retention: { runs: '90d', logs: false } });
    const done = await ended('done');
    const { id } = await nestor.get(Flows).start(Reports, 'proof');
    await expect(nestor.get(FlowRuns).result(id)).rejects.toThrow('a word is missing');
    const [week] = await weeksOf(database, 'flow_run');
    await nestor.clock.advance('120d');
    // Keys go once the week was looked at, and before it is dropped.
    const repository = nestor.get(ExpiredFlowRunsRepository);
    const forgetKeys = repository.forgetKeys.bind(repository);
    jest.spyOn(repository, 'forgetKeys').mockImplementationOnce(async (...asked) => {
      await nestor.get(RunControl).retry(id);
      expect(await nestor.get(FlowRuns).result(id)).toBe('fine');
      return forgetKeys(...asked);
    });
    const removed = await removeExpired();
    expect(await nestor.get(FlowRuns).result(id)).toBe('fine');
    expect(await weeksOf(database, 'flow_run')).toContain(week);
    // The others of its week are gone all the same.
    expect(removed).toMatchObject({ flowRuns: done.length });
    expect(await rowsOf(database, done)).toEqual({});
  }, 60_000);

  it('are removed to the last row when that takes several passes, and others are removed meanwhile [S24]', async () => {
    await start({ retention: { runs: '90d', logs: false } });
    const [large, small] = [await ended('large'), await ended('small')];
    await nestor.get(Flows).start(Reports, 'almanac'); // so that weeks do not go as a whole
    await sql(
      database,
      `insert into nestor.log (timestamp, id, name, level, message, flow_run_id)
       select l.timestamp + n * interval '1 microsecond', gen_random_uuid(), l.name, l.level, l.message, l.flow_run_id
         from (select * from nestor.log where flow_run_id = $1 limit 1) l, generate_series(1, 51000) n`,
      [large[0]],
    );
    // One whose id says nothing of its time is looked for by itself, after the others.
    const other = '6a7d0a52-9d0f-4c0e-8c1c-0d5a5f1c7b11';
    await sql(
      database,
      `insert into nestor.flow_run
       select (jsonb_populate_record(r, jsonb_build_object('id', $2::text, 'root_flow_run_id', $2::text))).*
         from nestor.flow_run r where id = $1`,
      [small[0], other],
    );
    await nestor.clock.advance('120d');
    expect(await removeExpired()).toMatchObject({ flowRuns: large.length + small.length + 1 });
    // A pass removes no more of them than that.
    expect(Object.keys(await rowsOf(database, [...large, other])).sort()).toEqual(['artifact', 'log']);
    await removeExpired();
    expect(await rowsOf(database, [...large, ...small, other])).toEqual({});
  }, 60_000);

  it('go with their week also when looking at all of them takes several passes [S24]', async () => {
    await start({ retention: { runs: '90d', logs: false } });
    const [id] = await ended('one');
    await sql(
      database,
      `insert into nestor.flow_run
       select (jsonb_populate_record(r, jsonb_build_object('id', copy.id, 'root_flow_run_id', copy.id))).*
         from nestor.flow_run r
        cross join lateral (
          select left(r.id::text, 19) || right(gen_random_uuid()::text, 17) as id from generate_series(1, 6000)) as copy
        where r.id = $1`,
      [id],
    );
    const [week] = await weeksOf(database, 'flow_run');
    await nestor.clock.advance('120d');
    // The first page takes all the time that a pass has.
    const now = performance.now.bind(performance);
    const survey = jest.spyOn(nestor.get(ExpiredFlowRunsRepository), 'survey');
    jest.spyOn(performance, 'now').mockImplementation(() => now() + (survey.mock.calls.length > 0 ? 70_000 : 0));
    expect((await removeExpired())!.partitions).not.toContain(week);
    expect((await removeExpired())!.partitions).toContain(week);
    expect(survey.mock.calls.slice(0, 2).map(([, { after }]) => after === null)).toEqual([true, false]);
    expect(await sql(database, 'select from nestor.flow_run')).toEqual([]);
    expect(await sql(database, 'select cursors from nestor.retention_pass')).toEqual([{ cursors: {} }]);
  }, 60_000);
});
