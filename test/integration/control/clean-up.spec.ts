import type { TestDatabase } from '@nestor/testing';
import { Transactions } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, subflowRunsOf, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

const TASKS = 5_000;
const SUBFLOWS = 30;
const DEPTH = 4;

describe('what is left within a run', () => {
  let database: TestDatabase;
  let relay: Relay;
  let gate: Gate;
  const forced: string[] = [];
  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    expect(await illegalHistories(database, { forced })).toEqual([]);
    await database.drop();
  });
  beforeEach(() => {
    relay = new Relay(database);
    gate = new Gate();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    gate.open();
    await relay.close();
  });

  /** A flow that calls many tasks, and subflows that call others, all of which wait. */
  const manyCalls = (stage: Stage): void => {
    stage.perform = () => gate.pass();
    stage.scene = async (depth: number) => Promise.all([stage.act(), ...(depth > 1 ? [stage.enact(depth - 1)] : [])]);
    stage.script = async () => {
      const tasks = Array.from({ length: TASKS }, (_, index) => stage.act(index));
      const subflows = Array.from({ length: SUBFLOWS }, () => stage.enact(DEPTH));
      return Promise.all([...tasks, ...subflows]);
    };
  };
  const openRuns = async (id: string): Promise<Record<string, number>> => {
    const [row] = await sql<{ flows: number; tasks: number }>(
      database,
      `with flow as (select id, state_type from nestor.flow_run where root_flow_run_id = $1)
       select (select count(*)::integer from flow where state_type in ('PENDING', 'RUNNING')) as flows,
              (select count(*)::integer from nestor.task_run t join flow on flow.id = t.flow_run_id
                where t.state_type in ('PENDING', 'RUNNING')) as tasks`,
      [id],
    );
    return { ...row! };
  };
  /** A run that has begun all that it calls, and the process that executes it. */
  const begin = async (options: object): Promise<[id: string, mortal: RelayProcess]> => {
    const mortal = await relay.start('mortal', manyCalls, options);
    const id = await mortal.begin('play');
    const flows = 1 + SUBFLOWS * DEPTH;
    const tasks = TASKS + SUBFLOWS * DEPTH * 2; // each subflow has a task, and one of its caller stands for it
    await waitFor(async () => {
      const open = await openRuns(id);
      return open.flows === flows && open.tasks === tasks;
    }, 30_000);
    await mortal.settled();
    return [id, mortal];
  };
  const counts = (id: string): Promise<{ state: string; count: number }[]> =>
    sql(
      database,
      `select t.state_type as state, count(*)::integer as count
         from nestor.flow_run f join nestor.task_run t on t.flow_run_id = f.id
        where f.root_flow_run_id = $1 group by 1`,
      [id],
    );

  it.each([
    ['CANCELLED', 'cancelled', {}],
    ['CRASHED', 'given up', { maxRecoveries: 0 }],
  ])(
    'is cancelled when that is %s after its process has died: 5,000 tasks, and subflows in subflows [S16]',
    async (end, _, options) => {
      const [id, mortal] = await begin(options);
      await mortal.die();
      if (end === 'CANCELLED') {
        const elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
        await elsewhere.control.cancel(id);
      }
      const statements = (['single', 'together', 'run'] as const).map((way) => jest.spyOn(Transactions.prototype, way));
      await relay.start('heir', undefined, options);
      await waitFor(async () => (await openRuns(id)).tasks === 0, 30_000);
      await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
      const written = statements.flatMap(({ mock }) => mock.calls).length;

      expect((await flowRunOf(database, id)).state_type).toBe(end);
      const subflows = await subflowRunsOf(database, id);
      expect(subflows).toHaveLength(SUBFLOWS * DEPTH);
      expect(new Set(subflows.map(({ state_type }) => state_type))).toEqual(new Set(['CANCELLED']));
      expect(await counts(id)).toEqual([{ state: 'CANCELLED', count: TASKS + SUBFLOWS * DEPTH * 2 }]);
      expect(written).toBeLessThan(200); // with what two processes do anyway; and not one for each of them
    },
    90_000,
  );

  it('is cancelled as well when its process lives [S16]', async () => {
    const [id, owner] = await begin({ cancelGrace: '100ms' });
    await owner.control.cancel(id);
    await waitFor(async () => (await openRuns(id)).tasks === 0, 30_000);
    await owner.settled();
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelling', 'Cancelled']);
    const subflows = await subflowRunsOf(database, id);
    expect(new Set(subflows.map(({ state_type }) => state_type))).toEqual(new Set(['CANCELLED']));
    expect(await counts(id)).toEqual([{ state: 'CANCELLED', count: TASKS + SUBFLOWS * DEPTH * 2 }]);
  }, 60_000);

  it('is that of a subflow alone, when somebody ends that', async () => {
    const outer = new Gate();
    const mortal = await relay.start('mortal', (stage) => {
      stage.perform = () => (void outer.pass(), gate.pass());
      stage.scene = async (depth: number) => (depth > 0 ? stage.enact(depth - 1) : stage.act());
      stage.script = async () => Promise.all([stage.enact(1), stage.enact(1)]);
    });
    const id = await mortal.begin('play');
    await waitFor(async () => (await subflowRunsOf(database, id)).length === 4);
    await outer.reached;
    await mortal.settled();
    await mortal.die();

    const nested = await sql<{ id: string; caller: string }>(
      database,
      `select r.id, t.flow_run_id as caller from nestor.flow_run r join nestor.task_run t on t.id = r.parent_task_run_id
        where r.root_flow_run_id = $1 order by r.id`,
      [id],
    );
    const [first, second] = nested.filter(({ caller }) => caller === id).map((one) => one.id);
    const within = (subflow: string): string => nested.find(({ caller }) => caller === subflow)!.id;
    const elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
    forced.push(first!);
    await elsewhere.control.setState(first!, { type: 'CANCELLED' });

    expect((await flowRunOf(database, within(first!))).state_type).toBe('CANCELLED');
    expect((await taskRunsOf(database, within(first!))).map(({ state_type }) => state_type)).toEqual(['CANCELLED']);
    for (const other of [id, second!, within(second!)])
      expect((await flowRunOf(database, other)).state_type).toBe('RUNNING');
    expect((await taskRunsOf(database, within(second!))).map(({ state_type }) => state_type)).toEqual(['RUNNING']);
  });
});
