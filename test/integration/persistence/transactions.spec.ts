import { spawnSync } from 'node:child_process';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { openStore, type Store } from './support/store.js';

describe('statements that are run together', () => {
  let database: TestDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 2 });
    await sql(database, 'create table counter (id integer primary key, value integer not null check (value < 100))');
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });
  beforeEach(async () => {
    await sql(database, 'truncate counter');
    await sql(database, 'insert into counter values (1, 0), (2, 0)');
  });

  const values = async (): Promise<number[]> => {
    const rows = await sql<{ value: number }>(database, 'select value from counter order by id');
    return rows.map(({ value }) => value);
  };
  const add = (id: number, value: number) => (tx: Parameters<Parameters<Store['transactions']['run']>[0]>[0]) =>
    tx.query<{ value: number }>('update counter set value = value + $2 where id = $1 returning value', [id, value]);

  it('all take effect, and give their rows', async () => {
    expect(await store.transactions.together([add(1, 3), add(2, 4)])).toEqual([[{ value: 3 }], [{ value: 4 }]]);
    expect(await values()).toEqual([3, 4]);
  });

  it('none takes effect when one fails; the error is that of the one that failed first', async () => {
    const together = store.transactions.together([add(1, 3), add(2, 100), add(1, 100), (tx) => tx.query('nonsense')]);
    await expect(together).rejects.toMatchObject({ code: '23514' });
    expect(await values()).toEqual([0, 0]);
    await store.transactions.together([add(1, 1), add(2, 1)]); // and the connection is as good as new
    expect(await values()).toEqual([1, 1]);
  });

  it('hold no locks while the event loop stands still', async () => {
    // Another process wants one of the rows, while this one waits for it and does nothing else.
    const other = `
      const { Client } = require('pg');
      const client = new Client({ connectionString: process.argv[1], options: '-c lock_timeout=5s' });
      client.connect()
        .then(() => client.query('update counter set value = value + 10 where id = 1'))
        .then(() => client.end(), (error) => { console.error(error.message); process.exit(1); });`;
    let outcome: { status: number | null; stderr: string } | undefined;
    await store.transactions.together([
      async (tx) => {
        const rows = await add(1, 3)(tx);
        outcome = spawnSync(process.execPath, ['-e', other, database.url], { encoding: 'utf8' });
        return rows;
      },
      add(2, 4),
    ]);
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
    expect(await values()).toEqual([13, 4]);
  });

  describe('with a hint behind them', () => {
    const hints = {
      'of one statement': (work: ReturnType<typeof add>, hint: ReturnType<typeof add>) =>
        store.transactions.single(work, hint),
      'of several': (work: ReturnType<typeof add>, hint: ReturnType<typeof add>) =>
        store.transactions.together([work, add(2, 4)], hint).then(([first]) => first),
    };

    it.each(Object.entries(hints))('%s: it comes after the commit', async (_, ask) => {
      const seen: unknown[] = [];
      const hint: ReturnType<typeof add> = async (tx) => {
        const rows = await tx.query<{ value: number; isCommitted: boolean }>(
          `select value, pg_visible_in_snapshot(xmin::text::xid8, pg_current_snapshot()) as "isCommitted" from counter where id = 1`,
        );
        seen.push(...rows);
        return rows;
      };
      expect(await ask(add(1, 3), hint)).toEqual([{ value: 3 }]);
      await waitFor(() => seen.length > 0); // nobody waits for a hint
      expect(seen).toEqual([{ value: 3, isCommitted: true }]);
    });

    it.each(Object.entries(hints))('%s: its failure is nobody’s', async (_, ask) => {
      expect(await ask(add(1, 3), (tx) => tx.query('nonsense'))).toEqual([{ value: 3 }]);
      expect((await values())[0]).toBe(3);
      expect(await store.transactions.single(add(1, 1))).toEqual([{ value: 4 }]); // and the connection is as good as new
    });

    it.each(Object.entries(hints))('%s: their own failure is theirs', async (_, ask) => {
      await expect(ask(add(1, 100), add(1, 0))).rejects.toMatchObject({ code: '23514' });
    });
  });
});
