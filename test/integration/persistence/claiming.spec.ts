import {
  addMs,
  completed,
  instantOfMs,
  paused,
  pending,
  running,
  scheduled,
  type Instant,
  type ProposedState,
} from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import type { Tx } from '../../../libs/orchestrator/src/persistence/transactions.js';
import type { ClaimedFlowRun } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import type { HeldClaims } from '../../../libs/orchestrator/src/records/lease-check.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { create, flowNamed, FlowRunStory, save, TaskRunStory } from './support/runs.js';
import { fenceOf, join, openStore, type Store } from './support/store.js';

/** Those who are told of a run take it in an epoch that is left to chance. */
const laterThan = (epoch: number): unknown => ({ asymmetricMatch: (other: unknown) => Number(other) > epoch });

const idsOf = (claimed: readonly ClaimedFlowRun[]): string[] => claimed.map(({ created }) => created.id);

describe('runs that nobody executes', () => {
  let database: TestDatabase;
  let store: Store;
  let flowId: string;
  let processId: string;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 10 });
  });
  beforeEach(async () => {
    flowId = await flowNamed(store, newId()); // so that every test has runs of its own
    processId = await join(store);
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  const now = (): Instant => instantOfMs(Date.now());
  const due = (sinceMs: number): ProposedState => scheduled({ scheduledTime: addMs(now(), -sinceMs) });
  const runIn = async (
    state: ProposedState,
    over: ConstructorParameters<typeof FlowRunStory>[1] = {},
    creator = processId,
  ): Promise<string> => {
    const story = new FlowRunStory(flowId, over);
    await create(store, story, state, fenceOf(creator, null));
    return story.run.id;
  };
  type Request = Parameters<Store['claims']['claimFree']>[1];
  const request = (over: Partial<Request>): Request => ({
    processId,
    app: 'test',
    flowIds: [flowId],
    limit: 100,
    ...over,
  });
  const claim = async (over: Partial<Request> = {}): Promise<string[]> =>
    idsOf(await store.transactions.single((tx) => store.claims.claimFree(tx, request(over))));
  const claimNamed = async (id: string, over: Partial<Request> = {}): Promise<string[]> =>
    idsOf(await store.transactions.single((tx) => store.claims.claimNamed(tx, request(over), id)));
  const claimInTurn = async (over: Partial<Request> = {}): Promise<string[]> =>
    idsOf(await store.claims.claimFreeInTurn(request(over)));
  /** What may be claimed of no queue is written in each of these statements. */
  const waysToClaim: [string, (id: string, over?: Partial<Request>) => Promise<string[]>][] = [
    ['as whatever is due', (_, over) => claim(over)],
    ['by their ids', claimNamed],
    ['in turn with those that have keys', (_, over) => claimInTurn(over)],
  ];
  const expectNoneClaimed = async (id: string, over: Partial<Request> = {}): Promise<void> => {
    const before = await leaseOf(id);
    for (const [way, take] of waysToClaim) expect([way, await take(id, over)]).toEqual([way, []]);
    expect(await leaseOf(id)).toEqual(before);
  };
  const nextFree = (): Promise<number | null> => store.claims.nextFreeInMs({ app: 'test', flowIds: [flowId] });
  const leaseOf = async (id: string): Promise<[processId: string | null, epoch: number]> => {
    const { processId: holder, leaseEpoch } = (await store.flowRuns.find(id))!;
    return [holder, leaseEpoch];
  };
  const change = (id: string, assignment: string, ...values: unknown[]): Promise<unknown> =>
    sql(database, `update nestor.flow_run set ${assignment} where id = $1`, [id, ...values]);
  const die = (id: string): Promise<unknown> =>
    sql(database, 'update nestor.process set fenced_at = clock_timestamp() where id = $1', [id]);

  describe('and are due', () => {
    it('are claimed: they belong to the process, in a new epoch, and are in the state they were in', async () => {
      const id = await runIn(due(1));
      const before = await store.flowRuns.load(id);
      await change(id, 'lease_epoch = 4');
      expect(await claim()).toEqual([id]);
      expect(await leaseOf(id)).toEqual([processId, 5]);
      expect(await store.flowRuns.load(id)).toEqual(before);
    });

    it('are claimed once', async () => {
      await runIn(due(1));
      expect(await claim()).toHaveLength(1);
      expect(await claim()).toEqual([]);
      expect(await claim({ processId: await join(store) })).toEqual([]);
    });

    it('are claimed in the order in which they were due, as many as asked for', async () => {
      const [third, first, second] = [await runIn(due(10)), await runIn(due(3_000)), await runIn(due(200))];
      expect(new Set(await claim({ limit: 2 }))).toEqual(new Set([first, second]));
      expect(await claim({ limit: 2 })).toEqual([third]);
    });

    it('are claimed for any of the flows a process has, and none when it has none', async () => {
      const id = await runIn(due(1));
      await expectNoneClaimed(id, { flowIds: [] });
      expect(await claim({ flowIds: [newId(), flowId] })).toEqual([id]);
    });

    it.each<[string, (id: string) => Promise<unknown>]>([
      ['of another application', (id) => change(id, `app = 'other'`)],
      ['of another flow', (id) => change(id, 'flow_id = gen_random_uuid()')],
      ['within other runs', (id) => change(id, 'root_flow_run_id = gen_random_uuid()')],
      ['in work queues', (id) => change(id, 'work_queue_id = gen_random_uuid()')],
      ['that have not been given their turn', (id) => change(id, 'awaits_turn = true')],
      ['in a line that nobody has opened', (id) => change(id, 'fair_line_id = gen_random_uuid()')],
      [
        'that another build has begun and is to go on with',
        (id) => change(id, `pinned_build_id = 'b0', run_count = 1`),
      ],
      ['that a process executes', async (id) => change(id, 'process_id = $2', await join(store))],
      ['whose process is gone: those are let go first', (id) => change(id, 'process_id = gen_random_uuid()')],
    ])('are left alone: runs %s', async (_, becomes) => {
      const id = await runIn(due(1));
      await becomes(id);
      await expectNoneClaimed(id, { buildId: 'b1' });
      await expectNoneClaimed(id);
    });

    describe.each(waysToClaim)('are claimed %s', (_, take) => {
      it.each([
        ['have never begun', 'run_count = 0'],
        ['have begun', 'run_count = 1'],
        ['are of a deployment', 'deployment_id = gen_random_uuid()'],
        ['have another priority', 'priority = 7'],
        ['have a key, and have had their turn', `fairness_key = 'key'`],
        ['are pinned to this build, which has begun them', `pinned_build_id = 'b1', run_count = 1`],
        ['are pinned to another build, which has not begun them', `pinned_build_id = 'b0', run_count = 0`],
      ])('when they %s', async (_, assignment) => {
        const id = await runIn(due(1));
        await change(id, assignment);
        expect(await take(id, { buildId: 'b1' })).toEqual([id]);
        expect(await leaseOf(id)).toEqual([processId, laterThan(0)]);
        await expectNoneClaimed(id, { buildId: 'b1', processId: await join(store) });
      });
    });

    it('are not claimed by a process that is fenced, has left or never joined', async () => {
      const id = await runIn(due(1));
      const [fenced, gone] = [await join(store), await join(store)];
      await die(fenced);
      await store.transactions.single((tx) => store.processes.leave(tx, gone));
      for (const nobody of [fenced, gone, newId()]) await expectNoneClaimed(id, { processId: nobody });
      expect(await leaseOf(id)).toEqual([null, 0]);
    });

    it('are claimed by their ids, whatever else is due, and like any other', async () => {
      const [earlier, id] = [await runIn(due(3_000)), await runIn(due(1))];
      const before = await store.flowRuns.load(id);
      expect(await claimNamed(id)).toEqual([id]);
      expect(await leaseOf(id)).toEqual([processId, laterThan(0)]);
      expect(await store.flowRuns.load(id)).toEqual(before);
      expect(await claimNamed(id, { processId: await join(store) })).toEqual([]);
      expect(await claim()).toEqual([earlier]);
    });

    it('are not claimed by their ids where runs that have keys are due: those have their turns', async () => {
      const id = await runIn(due(1));
      await sql(
        database,
        `insert into nestor.fair_news (app, line_id, lane, priority, flow_id, key, weight, due_at)
        values ('test', gen_random_uuid(), '', 0, $1, 'key', 1, now())`,
        [flowId],
      );
      expect(await claimNamed(id)).toEqual([]);
      await sql(database, `delete from nestor.fair_news where app = 'test'`);
      expect(await claimNamed(id)).toEqual([id]);
    });

    it('are claimed by their ids by one of two who know them, and neither waits for the other', async () => {
      const id = await runIn(due(1));
      const gate = new Gate();
      const claiming = store.transactions.run(async (tx) => {
        const claimed = await store.claims.claimNamed(tx, request({}), id);
        await gate.pass();
        return idsOf(claimed);
      });
      await gate.reached;
      expect(await claimNamed(id, { processId: await join(store) })).toEqual([]);
      gate.open();
      expect(await claiming).toEqual([id]);
    });

    describe('by their ids', () => {
      const waitsForDisk = (work: (tx: Tx) => Promise<unknown>): Promise<boolean> =>
        store.transactions.run(async (tx) => {
          await work(tx);
          const [row] = await tx.query<{ value: string }>(`select current_setting('synchronous_commit') as value`);
          return row!.value === 'on';
        });

      it('are claimed without waiting for the disk: what is written under a claim is flushed together with it', async () => {
        const id = await runIn(due(1));
        expect(await waitsForDisk((tx) => store.claims.claimNamed(tx, request({}), newId()))).toBe(true);
        expect(await waitsForDisk((tx) => store.claims.claimNamed(tx, request({}), id))).toBe(false);
        expect(await waitsForDisk((tx) => store.claims.claimFree(tx, request({})))).toBe(true);
      });

      it('are claimed in an epoch that nobody gets again when a crash of the server has swallowed the claim', async () => {
        const id = await runIn(due(1));
        await claimNamed(id);
        const [, swallowed] = await leaseOf(id);
        const task = new TaskRunStory(id).enter(completed());
        const stillWrites = (): Promise<HeldClaims> =>
          save(store, [task], fenceOf(processId, { rootFlowRunId: id, epoch: swallowed }));
        expect(await stillWrites()).toEqual([true]);

        await change(id, 'process_id = null, lease_epoch = 0'); // as it is there again
        expect(await stillWrites()).toEqual([false]);
        const [, epoch] = [await claimNamed(id, { processId: await join(store) }), (await leaseOf(id))[1]];
        expect(epoch).not.toBe(swallowed);
        expect(await stillWrites()).toEqual([false]);
        await change(id, 'process_id = null'); // it has ended there
        expect(await stillWrites()).toEqual([false]);
      });
    });

    it('are told with what was said of their states, if that is more than the time', async () => {
      const scheduledTime = addMs(now(), -1);
      const message = 'The slot was taken.';
      const id = await runIn(scheduled({ name: 'AwaitingConcurrencySlot', scheduledTime, message }));
      const [claimed] = await store.transactions.single((tx) => store.claims.claimFree(tx, request({ limit: 1 })));
      expect(claimed!.state).toEqual((await store.flowRuns.load(id))!.state);
      expect(claimed!.state).toMatchObject({ name: 'AwaitingConcurrencySlot', message, details: { scheduledTime } });
    });

    it('are not waited for while somebody else is claiming them', async () => {
      const ids = [await runIn(due(3)), await runIn(due(2)), await runIn(due(1))];
      const gate = new Gate();
      const claiming = store.transactions.run(async (tx) => {
        const claimed = idsOf(await store.claims.claimFree(tx, request({ limit: 2 })));
        await gate.pass();
        return claimed;
      });
      await gate.reached;
      expect(await claim({ processId: await join(store) })).toEqual([ids[2]]);
      gate.open();
      expect(new Set(await claiming)).toEqual(new Set([ids[0], ids[1]]));
    });

    it('are claimed by one of several processes that claim side by side, and none is left over [O06]', async () => {
      const ids = await Promise.all(Array.from({ length: 200 }, (_, index) => runIn(due(index + 1))));
      const processes = [processId, await join(store), await join(store), await join(store)];
      const claimed = new Map<string, string[]>(processes.map((id) => [id, []]));
      const isAnyLeft = async (): Promise<boolean> => (await nextFree()) !== null;
      await Promise.all(
        processes.map(async (id) => {
          while (await isAnyLeft()) claimed.get(id)!.push(...(await claim({ processId: id, limit: 7 })));
        }),
      );
      const all = [...claimed.values()].flat();
      expect(all).toHaveLength(200);
      expect(new Set(all)).toEqual(new Set(ids));
      for (const [holder, runs] of claimed) {
        for (const id of runs) expect(await leaseOf(id)).toEqual([holder, 1]);
      }
    });
  });

  it.each<[string, ProposedState]>([
    ['are not due yet', scheduled({ scheduledTime: addMs(instantOfMs(Date.now()), 3_600_000) })],
    ['have been started', pending()],
    ['run', running()],
    ['are paused', paused()],
  ])('and %s are not claimed', async (_, state) => {
    await expectNoneClaimed(await runIn(state));
  });

  describe('the next of which is due', () => {
    const nextDue = nextFree;

    it('is none when none waits', async () => {
      await runIn(running());
      expect(await nextDue()).toBeNull();
    });

    it('is so at once when it is overdue', async () => {
      await runIn(due(5_000));
      expect(await nextDue()).toBe(0);
    });

    it('is the earliest, in as many milliseconds as are left', async () => {
      await runIn(due(-120_000));
      await runIn(due(-60_000));
      const ms = await nextDue();
      expect(ms).toBeGreaterThan(50_000);
      expect(ms).toBeLessThanOrEqual(60_100);
    });

    it.each<[string, (id: string) => Promise<unknown>]>([
      ['somebody has', async (id) => change(id, 'process_id = $2', await join(store))],
      ['is within another', (id) => change(id, 'root_flow_run_id = gen_random_uuid()')],
      ['is in a work queue', (id) => change(id, 'work_queue_id = gen_random_uuid()')],
      ['has not been given its turn', (id) => change(id, 'awaits_turn = true')],
      ['is of another application', (id) => change(id, `app = 'other'`)],
    ])('is none that %s', async (_, becomes) => {
      await becomes(await runIn(due(1)));
      expect(await nextDue()).toBeNull();
    });
  });

  describe('because their process let go of them', () => {
    const release = (id: string, epoch: number, holder: string): Promise<void> =>
      store.transactions.single((tx) => store.claims.release(tx, holder, [{ id, leaseEpoch: epoch }]));

    it('may be claimed again, in another epoch', async () => {
      const id = await runIn(due(1));
      await claim();
      await release(id, 1, processId);
      expect(await leaseOf(id)).toEqual([null, 2]);
      expect(await claim()).toEqual([id]);
      expect(await leaseOf(id)).toEqual([processId, 3]);
    });

    it('are theirs to let go of only while they hold them', async () => {
      const id = await runIn(due(1));
      await claim();
      await release(id, 0, processId);
      await release(id, 2, processId);
      await release(id, 1, await join(store));
      expect(await leaseOf(id)).toEqual([processId, 1]);
    });

    it('were let go of once, though they were told so twice', async () => {
      const id = await runIn(due(1));
      await claim();
      await release(id, 1, processId);
      await release(id, 1, processId);
      expect(await leaseOf(id)).toEqual([null, 2]);
    });
  });

  describe('because their process is gone', () => {
    const orphaned = (limit = 100) => store.flowRuns.orphaned('test', [flowId], limit);

    it('are found, each with the process it had and its state', async () => {
      const [fenced, left] = [await join(store), await join(store)];
      const one = await runIn(running(), { isLeased: true }, fenced);
      const other = await runIn(due(-1_000), { isLeased: true }, left);
      await runIn(running(), { isLeased: true }); // of a process that lives
      await runIn(running()); // of none
      expect(await orphaned()).toEqual([]);

      await die(fenced);
      await store.transactions.single((tx) => store.processes.leave(tx, left));
      const found = await orphaned();
      expect(found).toHaveLength(2);
      expect(found).toContainEqual({ id: one, processId: fenced, stateType: 'RUNNING', wasBeginning: false });
      expect(found).toContainEqual({ id: other, processId: left, stateType: 'SCHEDULED', wasBeginning: false });
    });

    it('are found for the application and the flows that somebody asks for, as many as asked for', async () => {
      const dead = await join(store);
      for (let run = 0; run < 3; run += 1) await runIn(running(), { isLeased: true }, dead);
      await die(dead);
      expect(await store.flowRuns.orphaned('other', [flowId], 10)).toEqual([]);
      expect(await store.flowRuns.orphaned('test', [newId()], 10)).toEqual([]);
      expect(await store.flowRuns.orphaned('test', [], 10)).toEqual([]);
      expect(await orphaned(2)).toHaveLength(2);
    });

    const letGo = (...ids: string[]): Promise<void> =>
      store.transactions.single((tx) => store.flowRuns.releaseOrphans(tx, ids));

    const adopt = (id: string): Promise<string[]> =>
      store.transactions.single((tx) => store.flowRuns.adoptEnded(tx, [id], newId()));
    const isSomebodyWaiting = async (): Promise<boolean> => {
      const rows = await sql(
        database,
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows.length > 0;
    };

    it.each([
      ['wait for their time', due(-60_000)],
      ['are paused', paused()],
    ])('and that %s are let go as they are', async (_, state) => {
      const dead = await join(store);
      const id = await runIn(state, { isLeased: true }, dead);
      const before = await store.flowRuns.load(id);
      await die(dead);
      await letGo(id);
      expect(await leaseOf(id)).toEqual([null, 1]);
      expect(await store.flowRuns.load(id)).toEqual(before);
      await letGo(id);
      expect((await leaseOf(id))[0]).toBeNull();
    });

    it('and that had begun are not let go: their state has to say what became of them', async () => {
      const dead = await join(store);
      const id = await runIn(running(), { isLeased: true }, dead);
      await die(dead);
      await letGo(id);
      expect(await leaseOf(id)).toEqual([dead, 0]);
    });

    it('are not let go when somebody who lives has claimed them meanwhile', async () => {
      const dead = await join(store);
      const id = await runIn(due(1), { isLeased: true }, dead);
      await die(dead);
      await letGo(id);
      await claim();
      await letGo(id);
      expect(await leaseOf(id)).toEqual([processId, 2]);
    });

    it.each([
      ['let go', due(1), (id: string) => letGo(id)],
      ['taken over once they have ended', completed(), (id: string) => adopt(id)],
    ])('are not %s when somebody who lives is just taking them', async (_, state, take) => {
      const dead = await join(store);
      const id = await runIn(state, { isLeased: true }, dead);
      await die(dead);
      let taking: Promise<unknown> = Promise.resolve();
      await store.transactions.run(async (tx) => {
        await tx.query('update nestor.flow_run set process_id = $2, lease_epoch = 7 where id = $1', [id, processId]);
        taking = take(id); // by somebody who has seen the run as it was
        await waitFor(isSomebodyWaiting);
      });
      await taking;
      expect(await leaseOf(id)).toEqual([processId, 7]);
    });

    it('are not found when they are let go', async () => {
      const dead = await join(store);
      const id = await runIn(due(-60_000), { isLeased: true }, dead);
      await die(dead);
      await letGo(id);
      expect(await orphaned()).toEqual([]);
    });
  });
});
