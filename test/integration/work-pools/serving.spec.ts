import { FlowRuns, Flows, Readiness, WorkPools, type EnqueueOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { FlowRunClaimsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { PoolWorkers } from '../../../libs/orchestrator/src/runtime/workers/pool-workers.service.js';
import { bestOf } from '../../support/best-of.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

describe('processes that serve work pools', () => {
  let database: TestDatabase;
  let relay: Relay;
  let pool: string;
  let count = 0;
  const gates: Gate[] = [];

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => {
    relay = new Relay(database);
    pool = `pool-${(count += 1)}`;
  });
  afterEach(async () => {
    for (const gate of gates.splice(0)) gate.open();
    await relay.close();
  });

  const newGate = (): Gate => {
    const gate = new Gate();
    gates.push(gate);
    return gate;
  };
  /** A process that only enqueues; the pool is there. */
  const startClient = async (): Promise<RelayProcess> => {
    const client = await relay.start('client', undefined, { worker: false });
    await client.get(WorkPools).createIfAbsent(pool);
    return client;
  };
  const startWorker = (owner: string, prepare?: (stage: Stage) => void, more: object = {}): Promise<RelayProcess> =>
    relay.start(owner, prepare, { worker: { pools: [pool], ...more } });
  const enqueue = async (client: RelayProcess, options: EnqueueOptions = {}, params?: unknown): Promise<string> => {
    const { id } = await client
      .get(Flows)
      .with({ workPool: pool, ...options })
      .enqueue(Stage, 'play', params);
    return id;
  };
  const eventsOf = async (): Promise<string[]> =>
    (
      await sql<{ event: string }>(
        database,
        `select event from nestor.event where resource ->> 'prefect.resource.name' = $1 order by occurred, id`,
        [pool],
      )
    ).map(({ event }) => event);

  it('make the pools that are not there, say that they serve them, and when they leave [W07]', async () => {
    const worker = await startWorker('worker', undefined, {
      pools: [{ name: pool, queues: ['high'], workerName: 'w' }],
    });
    const pools = worker.get(WorkPools);
    await waitFor(async () => (await pools.find(pool))?.status === 'READY');
    const [first] = await pools.workers(pool);
    expect(first).toMatchObject({ name: 'w', status: 'ONLINE', heartbeatIntervalSeconds: 30 });
    worker.get(PoolWorkers).wake();
    await waitFor(async () => (await pools.workers(pool))[0]!.lastHeartbeat > first!.lastHeartbeat);
    expect(await pools.queues(pool)).toMatchObject([
      { name: 'default', status: 'NOT_READY', lastPolled: null },
      { name: 'high', status: 'READY', lastPolled: expect.any(Number) as number },
    ]);
    const client = await startClient();
    await worker.app.close();
    expect(await client.get(WorkPools).workers(pool)).toMatchObject([{ name: 'w', status: 'OFFLINE' }]);
    expect(await client.get(WorkPools).get(pool)).toMatchObject({ status: 'NOT_READY' });
    expect(await eventsOf()).toEqual([
      ...['prefect.work-pool.created', 'prefect.work-pool.ready'],
      'prefect.work-pool.not-ready',
    ]);
  });

  it('make the queues that are not there of a pool that is, and a pool anew that somebody removes', async () => {
    const client = await startClient();
    const worker = await startWorker('worker', undefined, { pools: [{ name: pool, queues: ['high'] }] });
    const queueNames = async (): Promise<string[]> =>
      (await client.get(WorkPools).queues(pool)).map(({ name }) => name);
    await waitFor(async () => String(await queueNames()) === 'default,high');
    await client.get(WorkPools).delete(pool);
    worker.get(PoolWorkers).wake();
    await waitFor(async () => (await client.get(WorkPools).find(pool))?.status === 'READY');
    expect(await queueNames()).toEqual(['default', 'high']);
  });

  it('execute the runs that wait there, and no process does that does not serve them', async () => {
    const client = await startClient();
    await relay.start('idle', (stage) => (stage.script = async () => stage.owner));
    const id = await enqueue(client);
    const [free] = await Promise.all([client.get(Flows).enqueue(Stage, 'play')]);
    expect(await free.result({ timeout: '10s' })).toBe('idle');
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'SCHEDULED', process_id: null });
    const worker = await startWorker('worker', (stage) => (stage.script = async () => stage.owner));
    expect(await worker.result(id)).toBe('worker');
    expect(await stateNames(database, id)).toEqual(['Scheduled', 'Pending', 'Running', 'Completed']);
  });

  it('execute runs of no queue as well, unless they are told not to', async () => {
    const client = await startClient();
    const served = await startWorker('worker', (stage) => (stage.script = async () => stage.owner), {
      unqueued: false,
    });
    const free = await client.get(Flows).enqueue(Stage, 'play');
    expect(await served.result(await enqueue(client))).toBe('worker');
    expect(await flowRunOf(database, free.id)).toMatchObject({ state_type: 'SCHEDULED', process_id: null });
    await startWorker('other', (stage) => (stage.script = async () => stage.owner));
    expect(await free.result({ timeout: '10s' })).toBe('other');
  });

  it('execute what is enqueued with a lower priority first', async () => {
    const client = await startClient();
    const order: unknown[] = [];
    const priorities = [3, -1, 0, 2, 1];
    const ids: string[] = [];
    for (const priority of priorities) ids.push(await enqueue(client, { priority }, priority));
    const worker = await startWorker(
      'worker',
      (stage) => {
        stage.script = async (priority: unknown) => void order.push(priority);
      },
      { limit: 1 },
    );
    await Promise.all(ids.map((id) => worker.result(id)));
    expect(order).toEqual([-1, 0, 1, 2, 3]);
  });

  it('execute no more than they are told to, of a pool and together [W04] [W08]', async () => {
    const client = await startClient();
    const gate = newGate();
    let running = 0;
    let most = 0;
    const ids = await Promise.all(Array.from({ length: 6 }, () => enqueue(client)));
    const worker = await startWorker(
      'worker',
      (stage) => {
        stage.script = async () => {
          most = Math.max(most, (running += 1));
          await gate.pass();
          running -= 1;
        };
      },
      { pools: [{ name: pool, limit: 2 }], limit: 5 },
    );
    await waitFor(() => running === 2);
    worker.get(RunClaimer).wake();
    const left = await sql(
      database,
      `select from nestor.flow_run where id = any($1) and state_type = 'SCHEDULED' and process_id is null`,
      [ids],
    );
    expect(left).toHaveLength(4);
    gate.open();
    await Promise.all(ids.map((id) => worker.result(id)));
    expect(most).toBe(2);
  });

  it('hear of room that another one has made, at once', async () => {
    const client = await startClient();
    await client.get(WorkPools).update(pool, { concurrencyLimit: 1 });
    let gate = newGate();
    const script = (stage: Stage): void => {
      stage.script = () => gate.pass();
    };
    await Promise.all([startWorker('one', script, { limit: 1 }), startWorker('other', script, { limit: 1 })]);
    const heardAfter = async (): Promise<number> => {
      gate = newGate();
      const ids = [await enqueue(client), await enqueue(client)];
      await gate.reached;
      const waiting = async (): Promise<unknown[]> =>
        sql(
          database,
          `select from nestor.flow_run where id = any($1) and state_type = 'SCHEDULED' and process_id is null`,
          [ids],
        );
      expect(await waiting()).toHaveLength(1);
      const before = performance.now();
      gate.open();
      await waitFor(async () => (await waiting()).length === 0);
      const ms = performance.now() - before;
      await Promise.all(ids.map((id) => client.result(id)));
      return ms;
    };
    expect(await bestOf(3_000, heardAfter)).toBeLessThan(3_000); // without a hint it would be five seconds
  });

  it('hand out nothing while the pool is paused, and go on at once when it is resumed [W05]', async () => {
    const client = await startClient();
    const worker = await startWorker('worker', (stage) => (stage.script = async () => stage.owner));
    await client.get(WorkPools).pause(pool);
    const id = await enqueue(client);
    const claiming = jest.spyOn(worker.get(FlowRunClaimsRepository), 'claimQueued');
    worker.get(RunClaimer).wake();
    await waitFor(() => claiming.mock.results.length > 0);
    expect(await claiming.mock.results[0]!.value).toEqual([]);
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'SCHEDULED', process_id: null });
    await client.get(WorkPools).resume(pool);
    expect(await worker.result(id)).toBe('worker');
  });

  it('take runs a little ahead of their time when told to, and hand back those that have not begun [W08] [R05]', async () => {
    const client = await startClient();
    const worker = await startWorker('worker', undefined, { prefetch: '4m' });
    const soon = await enqueue(client, { in: '3m' });
    const later = await enqueue(client, { in: '5m' });
    const { processId } = worker;
    await waitFor(async () => (await flowRunOf(database, soon)).process_id === processId);
    expect(await flowRunOf(database, soon)).toMatchObject({ state_type: 'SCHEDULED', state_name: 'Scheduled' });
    expect(await flowRunOf(database, later)).toMatchObject({ process_id: null });
    await worker.app.close();
    expect(await flowRunOf(database, soon)).toMatchObject({ state_type: 'SCHEDULED', process_id: null });
    expect(await stateNames(database, soon)).toEqual(['Scheduled']);
    for (const id of [soon, later]) await client.control.cancel(id);
  });

  it.each([
    ['one after another', {}],
    ['in turn', { fairnessKey: 'a' }],
  ])('do not take what waits for calls to stop ahead of its time, where runs are taken %s', async (_, fairness) => {
    const client = await startClient();
    const worker = await startWorker('worker', (stage) => (stage.script = async (text) => text), { prefetch: '4m' });
    const debounce = { key: pool, for: '3m' } as const;
    await worker.result(await enqueue(client, fairness)); // from here on runs are taken like this
    const id = await enqueue(client, { debounce }, 'n');
    await worker.result(await enqueue(client, fairness)); // somebody has looked at what waits with it
    expect(await enqueue(client, { debounce }, 'nest')).toBe(id);
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'SCHEDULED', process_id: null });
    await sql(database, 'update nestor.flow_run set next_scheduled_start_time = now() where id = $1', [id]);
    worker.get(RunClaimer).wake();
    expect(await worker.result(id)).toBe('nest');
  });

  it('begin what they took ahead of its time when it is due, and not before', async () => {
    const client = await startClient();
    let begun = 0;
    const worker = await startWorker(
      'worker',
      (stage) => {
        stage.script = async () => void (begun = Date.now());
      },
      { prefetch: '10s' },
    );
    const due = new Date(Date.now() + 2_000); // it has to be taken before that
    const id = await enqueue(client, { at: due });
    await waitFor(async () => (await flowRunOf(database, id)).process_id === worker.processId);
    expect(begun).toBe(0);
    await worker.result(id);
    expect(begun - due.getTime()).toBeGreaterThanOrEqual(-2);
    expect(await stateNames(database, id)).toEqual(['Scheduled', 'Pending', 'Running', 'Completed']);
  });

  it('leave alone what was cancelled after they had taken it', async () => {
    const client = await startClient();
    const worker = await startWorker('worker', (stage) => (stage.script = () => stage.act(1)), { prefetch: '10s' });
    const id = await enqueue(client, { in: '2s' }); // it has to be cancelled before that
    await waitFor(async () => (await flowRunOf(database, id)).process_id === worker.processId);
    await client.control.cancel(id);
    await waitFor(() => worker.get(RunClaimer).size === 0);
    expect(worker.stage.performed).toEqual([]);
    expect(await stateNames(database, id)).toEqual(['Scheduled', 'Cancelled']);
  });

  it('go on elsewhere with what they were executing when they shut down [R05]', async () => {
    const client = await startClient();
    const gate = newGate();
    const leaving = await startWorker('leaving', (stage) => (stage.script = () => gate.pass()));
    const id = await enqueue(client);
    await gate.reached;
    await leaving.app.close();
    const heir = await startWorker('heir', (stage) => (stage.script = async () => stage.owner));
    expect(await heir.result(id)).toBe('heir');
    expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1, empirical_policy: { recoveries: 0 } });
  });

  describe('and die as soon as they have taken a run', () => {
    /** Takes a run for a process that does not live to begin it. */
    const takeAndDie = async (owner: string, id: string): Promise<void> => {
      const mortal = await relay.start(owner, undefined, { worker: false });
      const { processId } = mortal;
      const [{ flow_id: flowId } = { flow_id: '' }] = await sql<{ flow_id: string }>(
        database,
        'select flow_id from nestor.flow_run where id = $1',
        [id],
      );
      const claimed = await mortal
        .get(FlowRunClaimsRepository)
        .claimQueued(
          { processId, app: relay.app, flowIds: [flowId], limit: 1 },
          { poolName: pool, poolType: 'nest', queueNames: null },
        );
      expect(claimed.map(({ created }) => created.id)).toEqual([id]);
      await mortal.die();
      await mortal.app.close();
    };

    it('count as recovered from, and the run goes on elsewhere', async () => {
      const client = await startClient();
      const id = await enqueue(client);
      await takeAndDie('mortal', id);
      const heir = await startWorker('heir', (stage) => (stage.script = async () => stage.owner));
      expect(await heir.result(id)).toBe('heir');
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1, empirical_policy: { recoveries: 1 } });
      expect(await stateNames(database, id)).toEqual(['Scheduled', 'AwaitingResume', 'Running', 'Completed']);
    });

    it('are not many: the run is given up', async () => {
      const client = await relay.start('client', undefined, { worker: false, maxRecoveries: 1 });
      await client.get(WorkPools).create(pool);
      const id = await enqueue(client);
      await takeAndDie('first', id);
      await waitFor(async () => (await flowRunOf(database, id)).state_name === 'AwaitingResume');
      await takeAndDie('second', id);
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'CRASHED');
      const [state] = await sql<{ message: string }>(
        database,
        `select message from nestor.flow_run_state where flow_run_id = $1 and type = 'CRASHED'`,
        [id],
      );
      expect(state!.message).toContain('TOO_MANY_RECOVERIES');
      expect(await client.get(FlowRuns).find(id)).toMatchObject({ id });
    });
  });

  it('are not ready any more when they are stuck [W17]', async () => {
    const worker = await startWorker('worker');
    const readiness = worker.get(Readiness);
    const gate = newGate();
    const claiming = jest.spyOn(worker.get(FlowRunClaimsRepository), 'claimQueued').mockImplementation(async () => {
      await gate.pass();
      return [];
    });
    worker.get(RunClaimer).wake();
    await gate.reached;
    expect(await readiness.problem()).toBeNull();
    const now = performance.now.bind(performance);
    const later = jest.spyOn(performance, 'now').mockImplementation(() => now() + 160_000);
    try {
      expect(await readiness.problem()).toMatch(/^No runs have been looked for in the last 1\d\d seconds/);
      claiming.mockRestore();
      gate.open();
      await waitFor(async () => (await readiness.problem()) === null);
    } finally {
      later.mockRestore();
    }
  });

  it.each<[string, EnqueueOptions, string]>([
    ['a queue of no pool', { workQueue: 'high' }, 'INVALID_RUN_OPTION'],
    ['half a priority', { priority: 0.5 }, 'INVALID_RUN_OPTION'],
    ['a pool that is not there', { workPool: 'nowhere' }, 'WORK_POOL_NOT_FOUND'],
    ['a queue that cannot be', { workPool: 'POOL', workQueue: 'a/b' }, 'INVALID_WORK_POOL'],
  ])('get no run that is enqueued with %s', async (_, { workPool, ...options }, code) => {
    const client = await startClient();
    const name = workPool === 'POOL' ? pool : workPool;
    const asking = async (): Promise<unknown> =>
      client
        .get(Flows)
        .with({ ...options, ...(name !== undefined && { workPool: name }) })
        .enqueue(Stage, 'play');
    await expect(asking()).rejects.toMatchObject({ code });
  });

  it.each<[string, object, RegExp]>([
    ['a pool twice', { pools: ['a', 'a'] }, /names "a" twice/],
    ['no queue', { pools: [{ name: 'a', queues: [] }] }, /names no queue/],
    ['a limit of 0', { limit: 0 }, /whole number from 1/],
    ['a prefetch of hours', { prefetch: '2h' }, /at most 5m/],
    ['a name with a slash', { pools: ['a/b'] }, /must not contain/],
  ])('do not start with %s', async (_, worker, message) => {
    await expect(relay.start('worker', undefined, { worker })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(message) as string,
    });
  });
});
