import { cancelled, completed, pending, running } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import type { Tx } from '../../../libs/orchestrator/src/persistence/transactions.js';
import type { HeldClaims, WriteFence } from '../../../libs/orchestrator/src/records/lease-check.js';
import { leaseStatements } from '../../../libs/orchestrator/src/runtime/leases/lease-statements.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { create, flowNamed, FlowRunStory, insert, moveUnder, save, TaskRunStory } from './support/runs.js';
import { fenceOf, join, openStore, type Store } from './support/store.js';

/** With these rules every process is dead. */
const AT_ONCE = { leaseMs: 0, hintMs: 0 };

describe('what a process writes', () => {
  let database: TestDatabase;
  let store: Store;
  let flowId: string;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 10 });
    flowId = await flowNamed(store, 'etl');
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  const fence = (...ids: string[]): Promise<string[]> =>
    store.transactions.single((tx) => store.processes.fence(tx, ids, newId(), AT_ONCE));
  /** A root run that a process executes. */
  const runOf = async (processId: string): Promise<FlowRunStory> => {
    const story = new FlowRunStory(flowId, { isLeased: true });
    await create(store, story, pending(), fenceOf(processId, null));
    return story;
  };
  const claimOf = ({ run }: FlowRunStory, epoch = 0) => ({ rootFlowRunId: run.id, epoch });
  const leaseOf = async ({ run }: FlowRunStory): Promise<[processId: string | null, epoch: number]> => {
    const { processId, leaseEpoch } = (await store.flowRuns.find(run.id))!;
    return [processId, leaseEpoch];
  };

  /** One of the statements of the journal, with rows that name the first claim, and whether they are there. */
  interface Write {
    readonly work: (tx: Tx, fence: WriteFence) => Promise<HeldClaims>;
    readonly isWritten: () => Promise<boolean>;
  }
  /** @param root an existing run that the write is part of. */
  type Writing = (root: FlowRunStory, claim?: number) => Write;

  const creation: Writing = (root, claim = 1) => {
    const story = new FlowRunStory(flowId, { rootFlowRunId: root.run.id, parentTaskRunId: newId() });
    const { row, state } = story.begin(pending(), { claim });
    return {
      work: (tx, under) => store.flowRuns.insert(tx, under, [row], [state]),
      isWritten: async () =>
        (await store.flowRuns.find(story.run.id)) !== null || (await store.flowRuns.history(story.run.id)).length > 0,
    };
  };
  const moving: Writing = (root, claim = 1) => {
    const ours = new FlowRunStory(flowId, root.created);
    ours.run = root.run;
    const { move, state } = ours.enter(running(), { claim });
    return {
      work: async (tx, under) => {
        const { held, moved } = await store.flowRuns.move(tx, under, [move], [state]);
        expect(moved).toEqual(new Set(held?.[claim - 1] ? [root.run.id] : []));
        return held;
      },
      isWritten: async () =>
        (await store.flowRuns.find(root.run.id))?.stateType === 'RUNNING' ||
        (await store.flowRuns.history(root.run.id)).length > 1,
    };
  };
  const saving: Writing = (root, claim = 1) => {
    const story = new TaskRunStory(root.run.id);
    const { write, state } = story.enter(completed(), { claim });
    return {
      work: (tx, under) => store.taskRuns.save(tx, under, [write], [state]),
      isWritten: async () =>
        (await store.taskRuns.find(story.run.id)) !== null || (await store.taskRuns.history(story.run.id)).length > 0,
    };
  };
  const keeping: Writing = (root, claim = 1) => ({
    work: (tx, under) => store.runValues.keep(tx, under, [{ flowRunId: root.run.id, key: 'now-0', value: '1', claim }]),
    isWritten: async () => (await store.runValues.byKey(root.run.id)).size > 0,
  });

  describe.each<[string, Writing]>([
    ['a new flow run', creation],
    ['a move of a flow run', moving],
    ['a task run', saving],
    ['a value', keeping],
  ])('%s', (_, writing) => {
    const written = async (root: FlowRunStory, under: WriteFence): Promise<[HeldClaims, boolean]> => {
      const { work, isWritten } = writing(root);
      const held = await store.transactions.single((tx) => work(tx, under));
      return [held, await isWritten()];
    };

    it('is written for a process that holds the lease', async () => {
      const processId = await join(store);
      const root = await runOf(processId);
      expect(await written(root, fenceOf(processId, claimOf(root)))).toEqual([[true], true]);
    });

    it('is written for a live process when it belongs to nobody', async () => {
      const root = await runOf(await join(store));
      expect(await written(root, fenceOf(await join(store), null))).toEqual([[true], true]);
    });

    it('is written under its own claim when other rows of the batch have others', async () => {
      const processId = await join(store);
      const [other, root] = [await runOf(processId), await runOf(processId)];
      const { work, isWritten } = writing(root, 3);
      const under = fenceOf(processId, null, claimOf(other, 7), claimOf(root));
      expect(await store.transactions.single((tx) => work(tx, under))).toEqual([true, false, true]);
      expect(await isWritten()).toBe(true);
    });

    it.each(['a lease', 'no lease'])('is not written for a process that is fenced, under %s', async (under) => {
      const processId = await join(store);
      const root = await runOf(processId);
      await fence(processId);
      const claim = under === 'a lease' ? claimOf(root) : null;
      expect(await written(root, fenceOf(processId, claim))).toEqual([null, false]);
    });

    it('is not written for a process that has left, or never joined', async () => {
      const processId = await join(store);
      const root = await runOf(processId);
      await store.transactions.single((tx) => store.processes.leave(tx, processId));
      expect(await written(root, fenceOf(processId, claimOf(root)))).toEqual([null, false]);
      expect(await written(root, fenceOf(newId(), null))).toEqual([null, false]);
    });

    it.each<[string, (root: FlowRunStory) => { rootFlowRunId: string; epoch: number }]>([
      ['of an earlier holder', (root) => claimOf(root, 0)],
      ['of a later one', (root) => claimOf(root, 2)],
      ['of a run that is not there', () => ({ rootFlowRunId: newId(), epoch: 1 })],
    ])('is not written under the claim %s', async (_of, claim) => {
      const processId = await join(store);
      const root = await runOf(processId);
      await sql(database, 'update nestor.flow_run set lease_epoch = 1 where id = $1', [root.run.id]);
      expect(await written(root, fenceOf(processId, claim(root)))).toEqual([[false], false]);
    });

    it('is not written under a lease that somebody else holds, though the epoch is right', async () => {
      const root = await runOf(await join(store));
      expect(await written(root, fenceOf(await join(store), claimOf(root)))).toEqual([[false], false]);
    });

    it('is refused alone, with the rest of its batch written', async () => {
      const processId = await join(store);
      const [first, lost, last] = [await runOf(processId), await runOf(processId), await runOf(processId)];
      await sql(database, 'update nestor.flow_run set lease_epoch = 7 where id = $1', [lost.run.id]);
      const under = fenceOf(processId, claimOf(first), null, claimOf(lost), claimOf(last));
      const writes = [
        writing(first, 1),
        writing(await runOf(await join(store)), 2),
        writing(lost, 3),
        writing(last, 4),
      ];
      const held = await store.transactions.run(async (tx) => {
        const answers: HeldClaims[] = [];
        for (const { work } of writes) answers.push(await work(tx, under));
        return answers;
      });
      expect(held).toEqual(writes.map(() => [true, true, false, true]));
      expect(await Promise.all(writes.map(({ isWritten }) => isWritten()))).toEqual([true, true, false, true]);
    });

    describe('that is on its way when its process is fenced', () => {
      it('is waited for: the fence comes after it, and finds it', async () => {
        const processId = await join(store);
        const root = await runOf(processId);
        const { work, isWritten } = writing(root);
        const gate = new Gate();
        const flushing = store.transactions.run(async (tx) => {
          const held = await work(tx, fenceOf(processId, claimOf(root)));
          await gate.pass();
          return held;
        });
        await gate.reached;
        let isFenced = false;
        const fencing = fence(processId).finally(() => (isFenced = true));
        await waitFor(isSomebodyWaiting);
        expect([isFenced, await isWritten()]).toEqual([false, false]);

        gate.open();
        expect(await flushing).toEqual([true]);
        expect(await fencing).toEqual([processId]);
        expect(await isWritten()).toBe(true);
      });

      it('waits for the fence and writes nothing, when that comes before it', async () => {
        const processId = await join(store);
        const root = await runOf(processId);
        const { work, isWritten } = writing(root);
        const gate = new Gate();
        const fencing = store.transactions.run(async (tx) => {
          const ids = await store.processes.fence(tx, [processId], newId(), AT_ONCE);
          await gate.pass();
          return ids;
        });
        await gate.reached;
        const flushing = store.transactions.single((tx) => work(tx, fenceOf(processId, claimOf(root))));
        await waitFor(isSomebodyWaiting);

        gate.open();
        expect(await fencing).toEqual([processId]);
        expect(await flushing).toBeNull();
        expect(await isWritten()).toBe(false);
      });

      it('is written after all when the fence is taken back', async () => {
        const processId = await join(store);
        const root = await runOf(processId);
        const { work, isWritten } = writing(root);
        const gate = new Gate();
        const fencing = store.transactions.run(async (tx) => {
          await store.processes.fence(tx, [processId], newId(), AT_ONCE);
          await gate.pass();
          throw new Error('taken back');
        });
        fencing.catch(() => undefined);
        await gate.reached;
        const flushing = store.transactions.single((tx) => work(tx, fenceOf(processId, claimOf(root))));
        await waitFor(isSomebodyWaiting);

        gate.open();
        await expect(fencing).rejects.toThrow('taken back');
        expect([await flushing, await isWritten()]).toEqual([[true], true]);
      });
    });
  });

  /** Whether a session of ours waits for a lock of another one. */
  async function isSomebodyWaiting(): Promise<boolean> {
    const rows = await sql(
      database,
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rows.length > 0;
  }

  it('does not hold up its heartbeats, nor do those hold up what it writes', async () => {
    const processId = await join(store);
    const root = await runOf(processId);
    const { heartbeat, peersParameters } = leaseStatements('nestor', 'test', { leaseMs: 10_000, hintMs: 2_000 });
    const parameters = [processId, ...peersParameters, true];
    const under = fenceOf(processId, claimOf(root));
    await store.transactions.run(async (tx) => {
      await saving(root).work(tx, under);
      await sql(database, heartbeat, parameters); // another session, which would wait for ever
    });
    await store.transactions.run(async (tx) => {
      await tx.query(heartbeat, parameters);
      const { work } = saving(root);
      expect(await store.transactions.single((other) => work(other, under))).toEqual([true]);
    });
  });

  it('is committed with the rest of its transaction or not at all, where that is fenced in between', async () => {
    const processId = await join(store);
    const root = await runOf(processId);
    const under = fenceOf(processId, claimOf(root));
    const [first, second] = [saving(root), keeping(root)];
    let fencing: Promise<string[]> | undefined;
    const held = await store.transactions.run(async (tx) => {
      const before = await first.work(tx, under);
      fencing = fence(processId);
      await waitFor(isSomebodyWaiting);
      return [before, await second.work(tx, under)];
    });
    expect(held).toEqual([[true], [true]]);
    expect(await fencing).toEqual([processId]);
    expect(await Promise.all([first.isWritten(), second.isWritten()])).toEqual([true, true]);
  });

  describe('first about a run', () => {
    it('is that it executes the run, where it does', async () => {
      const processId = await join(store);
      const root = await runOf(processId);
      const child = new FlowRunStory(flowId, { rootFlowRunId: root.run.id, parentTaskRunId: newId() });
      await create(store, child, pending(), fenceOf(processId, claimOf(root)));
      expect(await leaseOf(root)).toEqual([processId, 0]);
      expect(await leaseOf(child)).toEqual([null, 0]);
    });

    it('takes no run away from a process that has created it already', async () => {
      const [first, second] = [await join(store), await join(store)];
      const story = new FlowRunStory(flowId, { isLeased: true });
      const row = story.begin(pending());
      await insert(store, [row], fenceOf(first, null));
      await insert(store, [row], fenceOf(second, null));
      expect(await leaseOf(story)).toEqual([first, 0]);
    });
  });

  describe('after it has let go of a run', () => {
    const letGo = async (lease: 'kept' | 'released' | 'revoked') => {
      const processId = await join(store);
      const root = await runOf(processId);
      const under = fenceOf(processId, claimOf(root));
      const { held, moved } = await moveUnder(store, under, [root.enter(completed(), { lease })]);
      expect([held, moved]).toEqual([[true], new Set([root.run.id])]);
      return { processId, root, under };
    };
    const late = async (root: FlowRunStory, under: WriteFence): Promise<[HeldClaims, boolean]> => {
      const { work, isWritten } = saving(root);
      return [await store.transactions.single((tx) => work(tx, under)), await isWritten()];
    };

    it.each<['kept' | 'released' | 'revoked', boolean, number]>([
      ['kept', true, 0],
      ['released', false, 0],
      ['revoked', false, 1],
    ])('a lease that is %s is held: %p, in epoch %d', async (lease, isHeld, epoch) => {
      const { processId, root } = await letGo(lease);
      expect(await leaseOf(root)).toEqual([isHeld ? processId : null, epoch]);
    });

    it('by releasing it, is still accepted: what it had begun ends', async () => {
      const { root, under } = await letGo('released');
      expect(await late(root, under)).toEqual([[true], true]);
    });

    it('by releasing it, is refused once somebody else has claimed it', async () => {
      const { root, under } = await letGo('released');
      await sql(
        database,
        'update nestor.flow_run set process_id = gen_random_uuid(), lease_epoch = lease_epoch + 1 where id = $1',
        [root.run.id],
      );
      expect(await late(root, under)).toEqual([[false], false]);
    });

    it('because the lease was revoked, is refused', async () => {
      const { root, under } = await letGo('revoked');
      expect(await late(root, under)).toEqual([[false], false]);
    });

    it('is repeated after a commit nobody heard of, is what it was: a release', async () => {
      const processId = await join(store);
      const root = await runOf(processId);
      const made = root.enter(completed(), { lease: 'released' });
      for (let time = 0; time < 2; time += 1) {
        const { held, moved } = await moveUnder(store, fenceOf(processId, claimOf(root)), [made]);
        expect([held, moved]).toEqual([[true], new Set([root.run.id])]);
      }
      expect(await leaseOf(root)).toEqual([null, 0]);
    });

    it.each(['of its own', 'of a run whose process is dead'])(
      'is repeated after a commit nobody heard of, revokes the lease once: %s',
      async (whose) => {
        const processId = await join(store);
        const root = await runOf(processId);
        const under = whose === 'of its own' ? fenceOf(processId, claimOf(root)) : fenceOf(await join(store), null);
        const made = root.enter(cancelled(), { lease: 'revoked' });
        for (let time = 0; time < 2; time += 1) await moveUnder(store, under, [made]);
        expect(await leaseOf(root)).toEqual([null, 1]);
        expect((await store.flowRuns.history(root.run.id)).map(({ name }) => name)).toEqual(['Pending', 'Cancelled']);
      },
    );

    it('leaves alone a run that somebody else has changed: no lease is revoked by a move that is refused', async () => {
      const processId = await join(store);
      const root = await runOf(processId);
      const stale = new FlowRunStory(flowId, root.created);
      stale.run = root.run;
      await moveUnder(store, fenceOf(processId, claimOf(root)), [root.enter(running())]);
      const { held, moved } = await moveUnder(store, fenceOf(await join(store), null), [
        stale.enter(cancelled(), { lease: 'revoked' }),
      ]);
      expect([held, moved]).toEqual([[true], new Set()]);
      expect(await leaseOf(root)).toEqual([processId, 0]);
    });
  });

  describe('of the values that a run drew', () => {
    const keep = (flowRunId: string, values: Record<string, string>): Promise<HeldClaims> =>
      store.transactions.single((tx) =>
        store.runValues.keep(
          tx,
          store.fence,
          Object.entries(values).map(([key, value]) => ({ flowRunId, key, value, claim: 1 })),
        ),
      );

    it('is found by key, to the letter', async () => {
      const [one, other] = [newId(), newId()];
      const values = { 'now-0': '{"$nestor":"date", "value":"x"}', 'uuid-0': '"a\\"b"', 'odd "key", {1}-0': '1.0' };
      await keep(one, values);
      await keep(other, { 'now-0': '2' });
      expect(await store.runValues.byKey(one)).toEqual(new Map(Object.entries(values)));
      expect(await store.runValues.byKey(newId())).toEqual(new Map());
    });

    it('stays as it was first', async () => {
      const id = newId();
      await keep(id, { 'now-0': '1' });
      expect(await keep(id, { 'now-0': '2', 'now-1': '3' })).toEqual([true]);
      expect(Object.fromEntries(await store.runValues.byKey(id))).toEqual({ 'now-0': '1', 'now-1': '3' });
    });
  });

  it('is nothing at all without rows', async () => {
    const under = fenceOf(store.fence.processId, null);
    expect(await insert(store, [], under)).toEqual([true]);
    expect(await save(store, [], under)).toEqual([true]);
    expect(await moveUnder(store, under, [])).toEqual({ held: [true], moved: new Set() });
  });
});
