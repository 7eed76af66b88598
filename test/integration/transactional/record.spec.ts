import { cancelled, completed, pending, running } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { Client } from 'pg';
import { borrowedSession } from '../../../libs/orchestrator/src/persistence/borrowed-session.js';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import type { Recording } from '../../../libs/orchestrator/src/records/task-runs/task-runs.repository.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { create, flowNamed, FlowRunStory, save, TaskRunStory } from '../persistence/support/runs.js';
import { fenceOf, join, openStore, type Store } from '../persistence/support/store.js';

/** With these rules every process is dead. */
const AT_ONCE = { leaseMs: 0, hintMs: 0 };

describe('the record at the end of a transaction of the application', () => {
  let database: TestDatabase;
  let store: Store;
  let flowId: string;
  let session: Client;
  let processId: string;
  let root: FlowRunStory;
  let task: TaskRunStory;

  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 6 });
    flowId = await flowNamed(store, 'etl');
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });
  beforeEach(async () => {
    session = new Client({ connectionString: database.url });
    session.on('error', () => undefined);
    await session.connect();
    processId = await join(store);
    root = new FlowRunStory(flowId, { isLeased: true });
    await create(store, root, pending(), fenceOf(processId, null));
    task = new TaskRunStory(root.run.id);
    await save(store, [task.enter(pending())], under());
    await save(store, [task.enter(running())], under());
  });
  afterEach(() => session.end());

  const under = () => fenceOf(processId, { rootFlowRunId: root.run.id, epoch: 0 });
  const record = ({ write, state }: ReturnType<TaskRunStory['enter']>): Promise<Recording> =>
    store.taskRuns.record(borrowedSession(session), under(), write, state);
  const fence = () => store.transactions.single((tx) => store.processes.fence(tx, [processId], newId(), AT_ONCE));
  const stateName = async () => (await store.taskRuns.find(task.run.id))!.stateName;

  it('is written with its state, and seen when that commits', async () => {
    await session.query('begin');
    expect(await record(task.enter(completed(), { result: '7' }))).toEqual({ held: [true], saved: true });
    expect(await stateName()).toBe('Running');
    await session.query('commit');
    expect(await store.taskRuns.find(task.run.id)).toMatchObject({ stateName: 'Completed', result: '7' });
    expect((await store.taskRuns.history(task.run.id)).map(({ name }) => name)).toEqual([
      'Pending',
      'Running',
      'Completed',
    ]);
    expect((await session.query(`show idle_in_transaction_session_timeout`)).rows).toEqual([
      { idle_in_transaction_session_timeout: '0' },
    ]);
  });

  it('is not written for a process that is fenced, nor for a run that another one has', async () => {
    const end = task.enter(completed());
    await sql(database, 'update nestor.flow_run set lease_epoch = 1 where id = $1', [root.run.id]);
    expect(await record(end)).toEqual({ held: [false], saved: false });
    await fence();
    expect(await record(end)).toEqual({ held: null, saved: false });
    expect(await stateName()).toBe('Running');
  });

  it('does not replace a state that somebody else has set', async () => {
    const late = task.enter(completed());
    await save(store, [task.enter(cancelled())], under());
    expect(await record(late)).toEqual({ held: [true], saved: false });
    expect(await stateName()).toBe('Cancelled');
  });

  it('fails in a transaction that began before its run was moved', async () => {
    await session.query('begin isolation level repeatable read');
    await session.query('select 1');
    await fence();
    await sql(database, 'update nestor.flow_run set lease_epoch = 1 where id = $1', [root.run.id]);
    await expect(record(task.enter(completed()))).rejects.toMatchObject({ code: '40001' });
  });

  it.each(['read committed', 'serializable'])(
    'keeps the fence out until it is decided, but not for long (%s)',
    async (level) => {
      await session.query(`begin isolation level ${level}`);
      await record(task.enter(completed()));
      // From here on nobody hears of the process again.
      let fenced = false;
      const fencing = fence().then(() => (fenced = true));
      await waitFor(
        async () =>
          (
            await sql(
              database,
              `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
            )
          ).length > 0,
      );
      expect(fenced).toBe(false);
      await fencing;
      expect(await stateName()).toBe('Running');
    },
  );

  it('is found out about when it is decided', async () => {
    await session.query('begin');
    const end = task.enter(completed());
    await record(end);
    const asked = store.transactions.single((tx) => store.taskRuns.settledStateId(tx, task.run.id));
    await waitFor(
      async () =>
        (
          await sql(
            database,
            `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
          )
        ).length > 0,
    );
    await session.query('commit');
    expect(await asked).toBe(end.state.state.id);
    expect(await store.transactions.single((tx) => store.taskRuns.settledStateId(tx, newId()))).toBeNull();
  });
});
