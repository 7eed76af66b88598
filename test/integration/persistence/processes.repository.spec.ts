import { pending } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { Client } from 'pg';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import type { PeersRow } from '../../../libs/orchestrator/src/runtime/leases/lease-messages.js';
import { leaseStatements } from '../../../libs/orchestrator/src/runtime/leases/lease-statements.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { create, flowNamed, FlowRunStory } from './support/runs.js';
import { fenceOf, join, openStore, type Store } from './support/store.js';

/** Short enough that the server of the tests has been up for longer. */
const RULES = { leaseMs: 2_000, hintMs: 500 };

describe('the processes that execute runs', () => {
  let database: TestDatabase;
  let store: Store;
  let locker: Client;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 10 });
    locker = new Client({ connectionString: database.url });
    await locker.connect();
    await waitFor(async () => {
      const [row] = await sql<{ up: boolean }>(
        database,
        `select clock_timestamp() - pg_postmaster_start_time() > interval '3 seconds' as up`,
      );
      return row!.up;
    });
  });
  afterEach(() => locker.query('select pg_advisory_unlock_all()'));
  afterAll(async () => {
    await locker.end();
    await store.dataSource.destroy();
    await database.drop();
  });

  const statements = (schema = '"nestor"', app = 'test') => leaseStatements(schema, app, RULES);
  /** Takes the lock of a process, in a session that lives. */
  const lock = async (id: string, schema = '"nestor"', session = locker): Promise<boolean> =>
    (await session.query<{ locked: boolean }>(statements(schema).lock, [id])).rows[0]!.locked;
  const member = async ({ heardMs = 0, holdsLock = false, app = 'test' } = {}): Promise<string> => {
    const id = await join(store, app);
    await sql(
      database,
      `update nestor.process set heartbeat_at = clock_timestamp() - $2 * interval '1 ms', holds_lock = $3 where id = $1`,
      [id, heardMs, holdsLock],
    );
    return id;
  };
  const fence = (ids: string[], rules = RULES, by = newId()): Promise<string[]> =>
    store.transactions.single((tx) => store.processes.fence(tx, ids, by, rules));
  const rowOf = async (id: string): Promise<Record<string, unknown> | undefined> =>
    (await sql(database, 'select * from nestor.process where id = $1', [id]))[0];

  it('join alive, with what they say of themselves', async () => {
    const id = newId();
    const said = { id, app: 'shop', host: 'node-1', pid: 42, buildId: 'abc' };
    await store.transactions.single((tx) => store.processes.join(tx, said));
    expect(await rowOf(id)).toMatchObject({
      ...{ id, app: 'shop', host: 'node-1', pid: 42, build_id: 'abc' },
      ...{ holds_lock: false, fenced_at: null, fenced_by: null },
    });
    expect(await fence([id])).toEqual([]);
  });

  it('join once, though they were told so twice, and are not brought back to life by it', async () => {
    const id = newId();
    const said = { id, app: 'test', host: 'node-1', pid: 42, buildId: null };
    await store.transactions.single((tx) => store.processes.join(tx, said));
    await fence([id], { leaseMs: 0, hintMs: 0 });
    const before = await rowOf(id);
    await store.transactions.single((tx) => store.processes.join(tx, said));
    expect(await rowOf(id)).toEqual(before);
  });

  it('leave, and are gone', async () => {
    const id = await join(store);
    await store.transactions.single((tx) => store.processes.leave(tx, id));
    await store.transactions.single((tx) => store.processes.leave(tx, id));
    expect(await rowOf(id)).toBeUndefined();
  });

  // Heard of within the hint (500 ms), within the lease (2 s), or not since.
  const CASES: [string, { heardMs: number; holdsLock: boolean }, 'free' | 'held', boolean][] = [
    ['heard of just now', { heardMs: 0, holdsLock: true }, 'held', false],
    ['heard of just now, its lock free', { heardMs: 0, holdsLock: true }, 'free', false],
    ['heard of a while ago, its lock held', { heardMs: 1_000, holdsLock: true }, 'held', false],
    ['heard of a while ago, its lock free', { heardMs: 1_000, holdsLock: true }, 'free', true],
    ['heard of a while ago, that had no lock', { heardMs: 1_000, holdsLock: false }, 'free', false],
    ['not heard of for its lease, its lock held', { heardMs: 3_000, holdsLock: true }, 'held', true],
    ['not heard of for its lease, its lock free', { heardMs: 3_000, holdsLock: true }, 'free', true],
    ['not heard of for its lease, that had no lock', { heardMs: 3_000, holdsLock: false }, 'free', true],
  ];

  describe.each(CASES)('one %s', (_, said, state, isDead) => {
    it(`is ${isDead ? 'dead' : 'alive'} to whoever would fence it`, async () => {
      const id = await member(said);
      if (state === 'held') await lock(id);
      const by = newId();
      expect(await fence([id], RULES, by)).toEqual(isDead ? [id] : []);
      expect(await rowOf(id)).toMatchObject(
        isDead ? { fenced_at: expect.any(Date), fenced_by: by } : { fenced_at: null, fenced_by: null },
      );
    });

    it(`is ${isDead ? 'dead' : 'alive'} to those who watch it`, async () => {
      const id = await member(said);
      if (state === 'held') await lock(id);
      expect((await peersOf()).dead.includes(id)).toBe(isDead);
    });
  });

  const peersOf = async (me = newId(), app = 'test'): Promise<PeersRow> => {
    const { peers, peersParameters } = statements('"nestor"', app);
    const [row] = await sql<PeersRow>(database, peers, [me, ...peersParameters]);
    return row!;
  };

  it('are not dead within one lease of a start of the server, when nobody could send heartbeats', async () => {
    const [{ upMs } = { upMs: 0 }] = await sql<{ upMs: number }>(
      database,
      `select (extract(epoch from clock_timestamp() - pg_postmaster_start_time()) * 1000)::float8 as "upMs"`,
    );
    const id = await member({ heardMs: upMs * 3, holdsLock: true });
    expect(await fence([id], { leaseMs: upMs * 2, hintMs: 500 })).toEqual([]);
    expect(await fence([id], { leaseMs: upMs / 2, hintMs: 500 })).toEqual([id]);
  });

  it('have locks of their own: neither that of another schema counts, nor any other lock', async () => {
    const id = await member({ heardMs: 1_000, holdsLock: true });
    expect(await lock(id, '"other"')).toBe(true);
    await locker.query('select pg_advisory_lock(42), pg_advisory_lock(1, 2)');
    expect(await fence([id])).toEqual([id]);
  });

  it('have locks per database', async () => {
    const other = await testDatabase();
    const session = new Client({ connectionString: other.url });
    await session.connect();
    try {
      const id = await member({ heardMs: 1_000, holdsLock: true });
      expect(await lock(id, '"nestor"', session)).toBe(true);
      expect(await fence([id])).toEqual([id]);
    } finally {
      await session.end();
      await other.drop();
    }
  });

  it('hold a lock whose key may be negative', async () => {
    // Half of all keys are; both halves of it have to be put together again.
    for (let n = 0; n < 10; n += 1) {
      const id = await member({ heardMs: 1_000, holdsLock: true });
      await lock(id);
      expect(await fence([id])).toEqual([]);
    }
  });

  it('are fenced only where somebody asks for it, and only once', async () => {
    const [one, other] = [await member({ heardMs: 9_000 }), await member({ heardMs: 9_000 })];
    const by = newId();
    expect(await fence([one, newId()], RULES, by)).toEqual([one]);
    expect(await fence([one], RULES)).toEqual([]);
    expect(await rowOf(one)).toMatchObject({ fenced_by: by });
    expect(await rowOf(other)).toMatchObject({ fenced_at: null });
    expect(await fence([])).toEqual([]);
  });

  it('are fenced by one of those who try at once, who do not wait for each other crosswise', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => member({ heardMs: 9_000 })));
    const orders = [ids, [...ids].reverse(), ids, [...ids].reverse()];
    const fenced = (await Promise.all(orders.map((order) => fence(order)))).flat();
    expect(fenced.sort()).toEqual([...ids].sort());
  });

  it('are not fenced when they are heard of at the last moment', async () => {
    const id = await member({ heardMs: 9_000 });
    const gate = new Gate();
    const beating = store.transactions.run(async (tx) => {
      await tx.query(statements().heartbeat, [id, ...statements().peersParameters, true]);
      await gate.pass();
    });
    await gate.reached;
    const fencing = fence([id]);
    await waitFor(async () => {
      const rows = await sql(
        database,
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows.length > 0;
    });
    gate.open();
    await beating;
    expect(await fencing).toEqual([]);
    expect(await rowOf(id)).toMatchObject({ fenced_at: null });
  });

  describe('send heartbeats', () => {
    const send = async (id: string, mayHoldLock = true): Promise<(PeersRow & { holdsLock: boolean }) | undefined> => {
      const { heartbeat, peersParameters } = statements();
      return (await locker.query(heartbeat, [id, ...peersParameters, mayHoldLock])).rows[0];
    };
    const beat = async (id: string, mayHoldLock = true): Promise<boolean | undefined> =>
      (await send(id, mayHoldLock))?.holdsLock;

    it('that look at the others', async () => {
      const [id, peer] = [await member(), await member({ heardMs: 2_500 })];
      expect((await send(id))?.dead).toContain(peer);
      expect((await send(id))?.dead).not.toContain(id);
      expect((await send(id))?.nextCheckMs).toBeLessThanOrEqual(500);
    });

    it('that keep them alive', async () => {
      const id = await member({ heardMs: 9_000 });
      await beat(id);
      expect(await fence([id], { leaseMs: 2_000, hintMs: 2_000 })).toEqual([]);
    });

    it('that say whether the very session that sends them holds the lock', async () => {
      const id = await member();
      expect(await beat(id)).toBe(false);
      const other = new Client({ connectionString: database.url });
      await other.connect();
      try {
        await lock(id, '"nestor"', other);
        expect(await beat(id)).toBe(false); // it is held, but by another session
        expect(await rowOf(id)).toMatchObject({ holds_lock: false });
      } finally {
        await other.end();
      }
      await waitFor(() => lock(id));
      expect(await beat(id)).toBe(true);
      expect(await rowOf(id)).toMatchObject({ holds_lock: true });
    });

    it('that claim no lock where sessions are lent out', async () => {
      const id = await member({ holdsLock: true });
      await lock(id);
      expect(await beat(id, false)).toBe(false);
      expect(await rowOf(id)).toMatchObject({ holds_lock: false });
    });

    it('that tell them when they have been fenced', async () => {
      const id = await member({ heardMs: 9_000 });
      await fence([id]);
      expect(await beat(id)).toBeUndefined();
      expect(await rowOf(id)).toMatchObject({ holds_lock: false });
    });
  });

  describe('watch each other', () => {
    it('but not themselves, other applications, nor those that are fenced already', async () => {
      const app = newId();
      const me = await member({ heardMs: 9_000, app });
      await member({ heardMs: 9_000, app: 'other' });
      const fenced = await member({ heardMs: 9_000, app });
      await fence([fenced]);
      expect(await peersOf(me, app)).toEqual({ dead: [], nextCheckMs: null });
    });

    it.each<[string, { heardMs: number; holdsLock: boolean }, [number, number]]>([
      ['one with a lock may be dead after the hint', { heardMs: 200, holdsLock: true }, [1, 300]],
      ['one without may have got one by then', { heardMs: 200, holdsLock: false }, [1, 300]],
      ['one that is late is looked at again soon', { heardMs: 1_000, holdsLock: true }, [250, 250]],
    ])('and look again when %s', async (_, said, [least, most]) => {
      const app = newId();
      const id = await member({ ...said, app });
      await lock(id);
      await member({ heardMs: 0, app }); // has longer
      const { dead, nextCheckMs } = await peersOf(newId(), app);
      expect(dead).toEqual([]);
      expect(nextCheckMs).toBeGreaterThanOrEqual(least);
      expect(nextCheckMs).toBeLessThanOrEqual(most);
    });
  });

  describe('that are fenced', () => {
    const forget = (app: string): Promise<void> =>
      store.transactions.single((tx) => store.processes.forgetFenced(tx, app));
    const fencedAgo = async (interval: string | null, app: string): Promise<string> => {
      const id = await member({ app });
      await sql(database, 'update nestor.process set fenced_at = clock_timestamp() - $2::interval where id = $1', [
        id,
        interval,
      ]);
      return id;
    };

    it('are forgotten after an hour, when no run names them any more', async () => {
      const app = newId();
      const [old, recent, alive] = [
        await fencedAgo('2 hours', app),
        await fencedAgo('50 minutes', app),
        await fencedAgo(null, app),
      ];
      const named = await join(store, app);
      const story = new FlowRunStory(await flowNamed(store, 'etl'), { isLeased: true, app });
      await create(store, story, pending(), fenceOf(named, null));
      await sql(database, `update nestor.process set fenced_at = clock_timestamp() - interval '1 day' where id = $1`, [
        named,
      ]);
      const elsewhere = await fencedAgo('2 hours', newId());

      await forget(app);
      const left = await Promise.all([old, recent, alive, named, elsewhere].map(rowOf));
      expect(left.map((row) => row !== undefined)).toEqual([false, true, true, true, true]);
    });
  });
});
