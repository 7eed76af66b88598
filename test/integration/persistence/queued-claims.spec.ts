import { addMs, instantOfMs, scheduled, type Instant } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { WorkPoolsRepository } from '../../../libs/orchestrator/src/records/work-pools/work-pools.repository.js';
import { WorkQueuesRepository } from '../../../libs/orchestrator/src/records/work-pools/work-queues.repository.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { create, flowNamed, FlowRunStory } from './support/runs.js';
import { fenceOf, join, openStore, type Store } from './support/store.js';

describe('runs in the queues of a pool', () => {
  let database: TestDatabase;
  let store: Store;
  let pools: WorkPoolsRepository;
  let queues: WorkQueuesRepository;
  let flowId: string;
  let processId: string;
  let poolName: string;
  let poolId: string;
  const queueIds = new Map<string, string>();

  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 10 });
    pools = new WorkPoolsRepository(store.dataSource);
    queues = new WorkQueuesRepository(store.dataSource);
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });
  beforeEach(async () => {
    flowId = await flowNamed(store, newId()); // so that every test has runs of its own
    processId = await join(store);
    poolName = `pool-${newId()}`;
    poolId = newId();
    await store.transactions.run(async (tx) => {
      await pools.create(tx, {
        ...{ id: poolId, defaultQueueId: newId(), name: poolName, type: 'nest', description: null },
        ...{ baseJobTemplate: {}, isPaused: false, concurrencyLimit: null, storageConfiguration: {} },
      });
      for (const name of ['high', 'low']) {
        const queue = { id: newId(), name, description: '', isPaused: false, concurrencyLimit: null };
        queueIds.set(name, queue.id);
        await queues.create(tx, poolId, queue);
      }
      await queues.move(tx, poolId, queueIds.get('high')!, 1);
    });
  });

  const now = (): Instant => instantOfMs(Date.now());
  const change = (id: string, assignment: string, ...values: unknown[]): Promise<unknown> =>
    sql(database, `update nestor.flow_run set ${assignment} where id = $1`, [id, ...values]);
  const runIn = async (queue: string, sinceMs = 1, priority = 0): Promise<string> => {
    const story = new FlowRunStory(flowId);
    const state = scheduled({ scheduledTime: addMs(now(), -sinceMs) });
    await create(store, story, state, fenceOf(processId, null));
    await change(story.run.id, 'work_queue_id = $2, priority = $3', queueIds.get(queue), priority);
    return story.run.id;
  };
  interface Asking {
    readonly by?: string;
    readonly limit?: number;
    readonly app?: string;
    readonly type?: string;
    readonly only?: readonly string[];
    readonly prefetchUs?: number;
  }
  const claim = async ({ by = processId, limit = 100, app = 'test', ...of }: Asking = {}): Promise<string[]> => {
    const claimed = await store.claims.claimQueued(
      { processId: by, app, flowIds: [flowId], limit },
      { poolName, poolType: of.type ?? 'nest', queueNames: of.only ?? null },
      of.prefetchUs,
    );
    return claimed.map(({ created }) => created.id);
  };
  const nextDue = async (only: readonly string[] | null = null, prefetchUs = 0): Promise<number | null> => {
    const served = { poolName, poolType: 'nest', queueNames: only };
    return (await store.claims.nextQueued({ app: 'test', flowIds: [flowId] }, served, false, prefetchUs)).ms;
  };
  const letGo = async (id: string, by = processId): Promise<void> => {
    const { leaseEpoch } = (await store.flowRuns.find(id))!;
    await store.transactions.single((tx) => store.claims.release(tx, by, [{ id, leaseEpoch }]));
  };
  const limit = (of: 'work_pool' | 'work_queue', name: string, most: number | null): Promise<unknown> =>
    sql(
      database,
      `update nestor.${of} set concurrency_limit = $2 where name = $1 and coalesce($3, id) in (id, ${of === 'work_pool' ? 'id' : 'work_pool_id'})`,
      [name, most, poolId],
    );
  const pause = (of: 'work_pool' | 'work_queue', name: string, paused: boolean): Promise<unknown> =>
    sql(
      database,
      `update nestor.${of} set is_paused = $2 where name = $1 and ${of === 'work_pool' ? 'id' : 'work_pool_id'} = $3`,
      [name, paused, poolId],
    );

  it('are claimed by the priority of their queue, then by their own, then by when they were due', async () => {
    const last = await runIn('low', 60_000, -5);
    const fourth = await runIn('high', 1_000, 3);
    const second = await runIn('high', 5_000);
    const third = await runIn('high', 10);
    const first = await runIn('high', 1, -1);
    expect(await claim({ limit: 2 })).toEqual([first, second]);
    expect(await claim()).toEqual([third, fourth, last]);
    expect(await claim()).toEqual([]);
  });

  it('are claimed from the queues that somebody serves, and from pools of their type', async () => {
    const [high, low] = [await runIn('high'), await runIn('low')];
    expect(await claim({ only: ['default', 'nowhere'] })).toEqual([]);
    expect(await claim({ type: 'process' })).toEqual([]);
    expect(await claim({ only: ['low'] })).toEqual([low]);
    expect(await nextDue(['low'])).toBeNull();
    expect(await nextDue()).toBe(0);
    expect(await claim()).toEqual([high]);
    expect(await nextDue()).toBeNull();
  });

  it('are left to their own application, whatever else waits in the queue', async () => {
    const id = await runIn('high');
    expect(await claim({ app: 'other' })).toEqual([]);
    await change(id, `app = 'foreign'`);
    expect(await claim()).toEqual([]);
  });

  it('are not claimed as runs of no queue', async () => {
    await runIn('high');
    const request = { processId, app: 'test', flowIds: [flowId], limit: 10 };
    expect(await store.transactions.single((tx) => store.claims.claimFree(tx, request))).toEqual([]);
    expect(await store.claims.nextFreeInMs(request)).toBeNull();
  });

  it('are claimed by one of twenty that ask at once [W09]', async () => {
    const claimants = await Promise.all(Array.from({ length: 20 }, () => join(store)));
    for (let round = 0; round < 5; round += 1) {
      const id = await runIn('high');
      const claimed = await Promise.all(claimants.map((by) => claim({ by })));
      expect(claimed.flat()).toEqual([id]);
      const winner = claimants[claimed.findIndex(({ length }) => length > 0)]!;
      expect(await store.flowRuns.find(id)).toMatchObject({ processId: winner, leaseEpoch: 1 });
    }
  });

  it.each([
    ['work_pool', 4],
    ['work_queue', 3],
  ] as const)('are never more at a time than a limit of the %s says, %i, under ten workers [W04]', async (of, most) => {
    await limit(of, of === 'work_pool' ? poolName : 'high', most);
    const waiting = new Set(await Promise.all(Array.from({ length: 60 }, () => runIn('high'))));
    const workers = await Promise.all(Array.from({ length: 10 }, () => join(store)));
    let held = 0;
    let peak = 0;
    await Promise.all(
      workers.map(async (by) => {
        while (waiting.size > 0) {
          const claimed = await claim({ by, limit: 2 });
          held += claimed.length;
          peak = Math.max(peak, held);
          for (const id of claimed) {
            waiting.delete(id);
            await change(id, `state_type = 'COMPLETED'`);
            held -= 1; // before it is let go: never less than there are
            await letGo(id, by);
          }
        }
      }),
    );
    expect(peak).toBeLessThanOrEqual(most);
    expect(peak).toBeGreaterThan(1);
  });

  it('are as many as there is room for, in the pool and in each queue [W04]', async () => {
    await limit('work_pool', poolName, 3);
    await limit('work_queue', 'high', 1);
    const high = [await runIn('high', 20), await runIn('high', 10)];
    const low = [await runIn('low', 30), await runIn('low', 20), await runIn('low', 10)];
    expect(await claim()).toEqual([high[0], low[0], low[1]]);
    expect(await claim()).toEqual([]);
    expect(await nextDue()).toBeNull(); // as long as nobody makes room
    await change(low[0]!, `state_type = 'RUNNING'`);
    await letGo(low[0]!); // whoever runs it, it counts
    expect(await claim()).toEqual([]);
    await change(low[0]!, `state_type = 'COMPLETED'`);
    expect(await nextDue()).toBe(0);
    expect(await claim()).toEqual([low[2]]);
    await limit('work_pool', poolName, 0);
    await change(high[0]!, `state_type = 'COMPLETED', process_id = null`);
    expect(await claim()).toEqual([]);
    await limit('work_pool', poolName, null);
    expect(await claim()).toEqual([high[1]]);
  });

  it('stay where they are while the queue, or the pool, is paused [W05]', async () => {
    const [high, low] = [await runIn('high'), await runIn('low')];
    await pause('work_queue', 'high', true);
    expect(await claim()).toEqual([low]);
    expect(await nextDue()).toBeNull();
    await pause('work_queue', 'high', false);
    await pause('work_pool', poolName, true);
    expect(await claim()).toEqual([]);
    expect(await nextDue()).toBeNull();
    await pause('work_pool', poolName, false);
    expect(await claim()).toEqual([high]);
  });

  it('are claimed ahead of their time, as long as asked for and where nothing is limited [W08]', async () => {
    const soon = await runIn('high', -9_000);
    const later = await runIn('high', -11_000);
    const limited = await runIn('low', -9_000);
    await limit('work_queue', 'low', 5);
    expect(await claim()).toEqual([]);
    expect(await claim({ prefetchUs: 10_000_000 })).toEqual([soon]);
    const ms = await nextDue();
    expect(ms).toBeGreaterThan(7_000);
    expect(ms).toBeLessThanOrEqual(9_000);
    for (const id of [later, limited]) expect(await store.flowRuns.find(id)).toMatchObject({ processId: null });
    // Whoever claims ahead of their time subtracts that: what is limited is told of so much later, and nobody looks for it before.
    const ahead = await nextDue(null, 10_000_000);
    expect(ahead).toBeGreaterThan(9_000);
    expect(ahead).toBeLessThanOrEqual(11_000);
    expect(await nextDue(['low'], 10_000_000)).toBeGreaterThan(17_000);
  });

  it('are not claimed ahead of their time while they wait for calls to stop: another call may put them off', async () => {
    const quiet = await runIn('high', -8_000);
    await sql(database, `insert into nestor.run_key (flow_id, key, flow_run_id) values ($1, 'nestor:debounce:a', $2)`, [
      ...[flowId, quiet],
    ]);
    const shared = await runIn('high', -9_000);
    await sql(database, `insert into nestor.run_key (flow_id, key, flow_run_id) values ($1, 'nestor:throttle:a', $2)`, [
      ...[flowId, shared],
    ]);
    const served = { poolName, poolType: 'nest', queueNames: null };
    const who = { app: 'test', flowIds: [flowId] };
    const prefetchUs = 10_000_000;
    const nextMs = (): Promise<number | null> => nextDue(null, prefetchUs);
    expect(await nextMs()).toBeLessThanOrEqual(9_000); // the other one, ahead of its time
    expect(await store.claims.areSomeAwaitingQuiet(who, served, prefetchUs)).toBe(true);
    expect(await claim({ prefetchUs })).toEqual([shared]);
    // Nobody is told to look for it before it is due, which is so much later than for all others.
    expect(await nextMs()).toBeGreaterThan(16_000);
    expect(await nextMs()).toBeLessThanOrEqual(18_000);
    expect(await nextDue()).toBeLessThanOrEqual(8_000);
    await change(quiet, 'next_scheduled_start_time = now()');
    expect(await nextMs()).toBeLessThanOrEqual(10_000);
    expect(await store.claims.areSomeAwaitingQuiet(who, served, prefetchUs)).toBe(false);
    expect(await claim({ prefetchUs })).toEqual([quiet]);
  });

  it('wait on in the default queue when their queue is removed, and in none when the pool is', async () => {
    const id = await runIn('high');
    await store.transactions.run((tx) => queues.delete(tx, poolId, queueIds.get('high')!));
    const { defaultQueueId } = (await pools.find(poolName))!;
    expect(await store.flowRuns.find(id)).toMatchObject({ workQueueId: defaultQueueId, workQueueName: 'default' });
    await store.transactions.run((tx) => pools.delete(tx, poolName));
    expect(await store.flowRuns.find(id)).toMatchObject({ workQueueId: null, workQueueName: null });
    const request = { processId, app: 'test', flowIds: [flowId], limit: 10 };
    expect(await store.transactions.single((tx) => store.claims.claimFree(tx, request))).toHaveLength(1);
  });
});
