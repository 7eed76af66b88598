import { instantOfMicros, instantOfMs } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import type { NewLog } from '../../../libs/orchestrator/src/records/logs/logs.repository.js';
import { testDatabase } from '../../support/database.js';
import { openStore, type Store } from './support/store.js';

describe('the other records', () => {
  let database: TestDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 10 });
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  describe('flows', () => {
    const register = (names: string[]) => store.transactions.run((tx) => store.flows.register(tx, names));

    it('are registered once, whoever asks and however often', async () => {
      const first = await register(['load', 'ship']);
      expect([...first.keys()].sort()).toEqual(['load', 'ship']);
      expect(await register(['ship', 'load', 'pack'])).toEqual(new Map([...first, ['pack', expect.any(String)]]));
    });

    it('are the same for processes that register them at once, in any order', async () => {
      for (let round = 0; round < 20; round += 1) {
        const names = Array.from({ length: 20 }, (_, index) => `flow-${round}-${index}`);
        const answers = await Promise.all([register(names), register([...names].reverse()), register(names)]);
        for (const name of names) expect(new Set(answers.map((ids) => ids.get(name))).size).toBe(1);
      }
    });

    it('are found by name and by id', async () => {
      const ids = await register(['audit', 'bill']);
      expect(await store.flows.findByName('audit')).toMatchObject({ id: ids.get('audit'), name: 'audit', tags: [] });
      expect(await store.flows.findByName('nothing')).toBeNull();
      const found = await store.flows.findByIds([...ids.values(), newId()]);
      expect(found.map(({ name }) => name).sort()).toEqual(['audit', 'bill']);
      expect(await store.flows.findByIds([])).toEqual([]);
    });
  });

  describe('logs', () => {
    const flowRunId = newId();
    const line = (over: Partial<NewLog>): NewLog => ({
      id: newId(),
      timestamp: instantOfMs(Date.now()),
      name: 'calm-otter',
      level: 20,
      message: 'x',
      flowRunId,
      taskRunId: null,
      ...over,
    });
    const append = (lines: NewLog[]) => store.transactions.single((tx) => store.logs.append(tx, lines));

    it('are kept once, though they are appended twice', async () => {
      const run = newId();
      const lines = [line({ flowRunId: run }), line({ flowRunId: run })];
      await append(lines);
      await append(lines);
      expect(await store.logs.list(run, { limit: 10 })).toHaveLength(2);
    });

    it('come back oldest first, as many as asked for, each with all it says', async () => {
      const now = instantOfMs(Date.now());
      const [late, early] = [
        line({ timestamp: instantOfMicros(now + 1), message: 'late', level: 40, taskRunId: newId() }),
        line({ timestamp: now, message: 'early “\n{}', level: 10 }),
      ];
      await append([late, early]);
      expect(await store.logs.list(flowRunId, { limit: 10 })).toMatchObject([early, late]);
      expect(await store.logs.list(flowRunId, { limit: 1 })).toMatchObject([early]);
      expect(await store.logs.list(newId(), { limit: 10 })).toEqual([]);
    });

    it('of no lines at all are no trouble', async () => {
      await append([]);
    });
  });
});

describe('a transaction', () => {
  let database: TestDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 1 });
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });
  const names = async (): Promise<string[]> => {
    const rows = await store.dataSource.query<{ name: string }[]>('select name from nestor.flow order by name');
    return rows.map(({ name }) => name);
  };
  const insert = `insert into nestor.flow (id, name) values (gen_random_uuid(), $1)`;

  it('gives what its work returned, and keeps what it wrote', async () => {
    const result = await store.transactions.run(async (tx) => {
      await tx.query(insert, ['kept']);
      return 'done';
    });
    expect(result).toBe('done');
    expect(await names()).toContain('kept');
  });

  it('throws what its work threw, keeps nothing, and gives its connection back', async () => {
    const failure = new Error('after the write');
    const work = store.transactions.run(async (tx) => {
      await tx.query(insert, ['dropped']);
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await names()).not.toContain('dropped'); // on the only connection there is
  });

  it('goes away whole when one of its statements fails', async () => {
    const work = store.transactions.run(async (tx) => {
      await tx.query(insert, ['first of two']);
      await tx.query(insert, ['first of two']);
    });
    await expect(work).rejects.toMatchObject({ code: '23505', constraint: 'flow_name_key' });
    expect(await names()).not.toContain('first of two');
  });

  it('tells why it failed when its connection broke, and the next one works', async () => {
    const work = store.transactions.run(async (tx) => {
      await tx.query(insert, ['cut off']);
      await tx.query('select pg_terminate_backend(pg_backend_pid())');
    });
    await expect(work).rejects.toMatchObject({ code: '57P01' });
    expect(await names()).not.toContain('cut off');
  });

  it('of a single statement is that statement alone', async () => {
    await store.transactions.single((tx) => tx.query(insert, ['single']));
    expect(await names()).toContain('single');
    await expect(store.transactions.single((tx) => tx.query('select nonsense'))).rejects.toMatchObject({
      code: '42703',
    });
    expect(await names()).toContain('single');
  });

  it('prepares a named statement once per connection', async () => {
    const statement = { name: 'test_statement', text: 'select $1::int + 1 as value' };
    const rows = await store.transactions.run(async (tx) => {
      await tx.query(statement, [1]);
      await tx.query(statement, [2]);
      return tx.query(`select count(*) from pg_prepared_statements where name = 'test_statement'`);
    });
    expect(rows).toEqual([{ count: 1 }]);
  });
});
