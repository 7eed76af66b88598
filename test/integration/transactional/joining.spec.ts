import type { INestApplicationContext } from '@nestjs/common';
import { CallInTransactionError, Flows, TransactionEndedError, withOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { HookDelivery } from '../../../libs/orchestrator/src/runtime/hooks/hook-delivery.service.js';
import { ProcessLease } from '../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { Books, createBooks, Entry, notes, startBooks } from './support/books.js';

describe('a transactional task', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let books: Books;

  beforeAll(async () => {
    database = await testDatabase();
    await createBooks(database);
    app = await startBooks(database);
    books = app.get(Books);
  });
  beforeEach(() => sql(database, 'delete from entry'));
  afterEach(async () => {
    books.script = books.work = async () => undefined;
    expect(await illegalHistories(database)).toEqual([]);
    // Those of loops are over in a moment; one that was left open stays.
    const open = `select query from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`;
    await waitFor(async () => (await sql(database, open)).length === 0);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  /** Runs a flow, and gives its id beside what became of it. */
  const run = async (script: () => Promise<unknown>): Promise<{ id: string; outcome: unknown }> => {
    books.script = script;
    const handle = await app.get(Flows).start(Books, 'keep');
    const outcome = await handle.result().catch((error: unknown) => error);
    return { id: handle.id, outcome };
  };

  it('has its hooks called, which are owed from the same commit on', async () => {
    books.told.splice(0);
    let owed: unknown[] = [];
    books.work = async (outcome: string) => {
      if (outcome === 'fails') throw new Error('no');
      return outcome;
    };
    jest.spyOn(books, 'tell').mockImplementation(async ({ state }) => {
      books.told.push(state.name);
      if (state.name === 'Completed') owed = await sql(database, 'select task_key from nestor.owed_hooks');
    });
    await run(async () => [await books.bookAndTell('works'), await books.bookAndTell('fails').catch(() => undefined)]);

    expect(books.told).toEqual(['Running', 'Completed', 'Running', 'Failed']);
    expect(owed).toEqual([{ task_key: 'Books.bookAndTell' }]);
    expect(await sql(database, 'select 1 from nestor.owed_hooks')).toEqual([]);
    jest.restoreAllMocks();
  });

  it('has its writes and its record committed together, whichever way it writes', async () => {
    const seen: string[][] = [];
    books.work = async () => {
      await books.entries.save({ note: 'repository' });
      await books.dataSource.manager.insert(Entry, { note: 'manager' });
      await books.dataSource.query(`insert into entry (note) values ('query')`);
      await books.dataSource.createQueryBuilder().insert().into(Entry).values({ note: 'builder' }).execute();
      const runner = books.dataSource.createQueryRunner();
      await runner.manager.save(Entry, { note: 'runner' });
      await runner.release();
      seen.push(
        (await books.entries.find({ order: { id: 'asc' } })).map(({ note }) => note),
        await notes(database),
      );
      return 'booked';
    };
    const { id, outcome } = await run(() => books.book(1));
    expect(outcome).toBe('booked');
    const all = ['repository', 'manager', 'query', 'builder', 'runner'];
    expect(seen).toEqual([all, []]);
    expect(await notes(database)).toEqual(all);
    const [task] = await taskRunsOf(database, id);
    expect(task).toMatchObject({ state_type: 'COMPLETED', result: 'booked', run_count: 1 });
    expect(await stateNames(database, task!.id)).toEqual(['Pending', 'Running', 'Completed']);
    const [{ same }] = (await sql<{ same: boolean }>(
      database,
      'select (select max(xmin::text) from entry) = (select xmin::text from nestor.task_run where id = $1) as same',
      [task!.id],
    )) as [{ same: boolean }];
    expect(same).toBe(true);
  });

  it('leaves nothing behind when it throws, and its next attempt begins anew', async () => {
    let attempt = 0;
    books.work = async () => {
      attempt += 1;
      await books.note(`attempt ${attempt}`);
      if (attempt === 1) throw new Error('not yet');
    };
    const { id, outcome } = await run(() => books.bookTwice());
    expect(outcome).toBeUndefined();
    expect(await notes(database)).toEqual(['attempt 2']);
    const [task] = await taskRunsOf(database, id);
    expect(await stateNames(database, task!.id)).toEqual(['Pending', 'Running', 'Retrying', 'Completed']);
  });

  it('that fails is recorded as such, with the error it threw', async () => {
    books.work = async () => {
      await books.note('in vain');
      throw new RangeError('too much');
    };
    const { id, outcome } = await run(() => books.book());
    expect(outcome).toMatchObject({ name: 'RangeError', message: 'too much' });
    expect(await notes(database)).toEqual([]);
    expect(await taskRunsOf(database, id)).toMatchObject([{ state_type: 'FAILED' }]);
  });

  it('is a task like any other outside flows', async () => {
    books.work = (note: string) => books.note(note);
    await books.book('alone');
    await expect(
      (async () => {
        books.work = async () => {
          await books.note('in vain');
          throw new Error('no');
        };
        await books.book('failing');
      })(),
    ).rejects.toThrow('no');
    expect(await notes(database)).toEqual(['alone']);
    const rows = await sql(
      database,
      `select state_type, process_id from nestor.task_run where flow_run_id is null and task_key = 'Books.book' order by id`,
    );
    expect(rows).toEqual([
      { state_type: 'COMPLETED', process_id: null },
      { state_type: 'FAILED', process_id: null },
    ]);
  });

  it('leaves the data source as it is everywhere else', async () => {
    const gate = new Gate();
    books.work = async () => {
      await books.note('within');
      await gate.pass();
    };
    const booking = books.book();
    await gate.reached;
    await books.note('beside');
    expect((await books.entries.find()).map(({ note }) => note)).toEqual(['beside']);
    gate.open();
    await booking;
    expect((await notes(database)).sort()).toEqual(['beside', 'within']);
  });

  it('waits for a connection where there are more of them than those', async () => {
    books.work = (note: string) => books.note(note);
    const names = Array.from({ length: 24 }, (_, index) => `note ${index}`);
    const { outcome } = await run(() => Promise.all(names.map((name) => books.book(name))));
    expect(outcome).toHaveLength(24);
    expect((await notes(database)).sort()).toEqual(names.sort());
  });

  it('keeps its record, whatever a call says, so that it is never made again', async () => {
    books.work = async () => {
      await books.note('once');
      return 7;
    };
    const { id } = await run(() => withOptions(books, { persistResult: false }).book());
    expect(await taskRunsOf(database, id)).toMatchObject([{ state_type: 'COMPLETED', result: 7 }]);
  });

  it('makes transactions within it savepoints, one after the other', async () => {
    const transaction = (note: string, fails: boolean): Promise<unknown> =>
      books.dataSource
        .transaction(async (manager) => {
          await manager.save(Entry, { note });
          await books.note(`${note}, ambient`);
          await manager.transaction(async (inner) => {
            await inner.save(Entry, { note: `${note}, inner` });
          });
          if (fails) throw new Error(note);
        })
        .catch((error: unknown) => error);
    books.work = async () => {
      const results = await Promise.all([
        transaction('one', false),
        books.note('beside'),
        transaction('two', true),
        transaction('three', false),
        books.note('beside, too'),
      ]);
      return results.map((result) => result instanceof Error);
    };
    expect(await books.book()).toEqual([false, false, true, false, false]);
    expect((await notes(database)).sort()).toEqual([
      'beside',
      'beside, too',
      'one',
      'one, ambient',
      'one, inner',
      'three',
      'three, ambient',
      'three, inner',
    ]);
  });

  it('goes on after a failed statement only where that was in a savepoint', async () => {
    const failing = (): Promise<unknown> => books.dataSource.query('select 1 / 0').catch(() => undefined);
    books.work = async () => {
      await books.note('first');
      await books.dataSource.transaction((manager) => manager.query('select 1 / 0')).catch(() => undefined);
    };
    await books.book();
    expect(await notes(database)).toEqual(['first']);

    books.work = async () => {
      await books.note('second');
      await failing();
    };
    const failure = await books.book().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'TRANSACTION_MISUSED', cause: { message: 'division by zero' } });
    expect(await notes(database)).toEqual(['first']);
  });

  it.each<[string, (books: Books) => Promise<unknown>]>([
    ['commits by itself', (books) => books.dataSource.query('commit')],
    ['rolls back by itself', (books) => books.dataSource.query('ROLLBACK')],
    ['commits what a query runner did not begin', (books) => books.dataSource.createQueryRunner().commitTransaction()],
    [
      'returns while a statement is under way',
      async (books) => void books.dataSource.query('select pg_sleep(0.05)').catch(() => undefined),
    ],
    [
      'returns while a savepoint is open',
      async (books) =>
        void books.dataSource
          .transaction(() => new Promise((resolve) => setTimeout(resolve, 50)))
          .catch(() => undefined),
    ],
  ])('that %s is rolled back and fails', async (_, misuse) => {
    books.work = async () => {
      await books.note('in vain');
      await misuse(books);
    };
    const { id, outcome } = await run(() => books.book());
    expect(outcome).toMatchObject({ code: 'TRANSACTION_MISUSED' });
    expect(await notes(database)).toEqual([]);
    expect(await taskRunsOf(database, id)).toMatchObject([{ state_type: 'FAILED' }]);
  });

  it('calls neither tasks nor flows', async () => {
    books.work = async () => {
      await books.note('kept');
      const task = await books.plain().catch((error: unknown) => error);
      const flow = await books.keep().catch((error: unknown) => error);
      return [task instanceof CallInTransactionError, flow instanceof CallInTransactionError];
    };
    const { id, outcome } = await run(() => books.book());
    expect(outcome).toEqual([true, true]);
    expect(await taskRunsOf(database, id)).toHaveLength(1);
    expect(await notes(database)).toEqual(['kept']);
  });

  it('starts a flow of its own beside its transaction', async () => {
    let nested: string | undefined;
    books.work = async () => {
      await books.note('within');
      nested = (await app.get(Flows).start(Books, 'keep')).id;
    };
    books.script = async () => books.note('by the flow');
    await books.book();
    await waitFor(async () => (await notes(database)).length === 2);
    expect(await stateNames(database, nested!)).toContain('Running');
  });

  it('that times out is rolled back at once, whatever it waits for, and what goes on of it executes nothing', async () => {
    let late: unknown;
    const gate = new Gate();
    books.work = async () => {
      await books.note('in vain');
      await books.dataSource.query('select pg_sleep(20)').catch(() => undefined);
      await gate.pass();
      late = await books.note('late').catch((error: unknown) => error);
    };
    const begun = performance.now();
    const { id, outcome } = await run(() => books.bookInTime());
    expect(outcome).toMatchObject({ code: 'RUN_TIMED_OUT' });
    expect(performance.now() - begun).toBeLessThan(5_000);
    await gate.reached;
    gate.open();
    await waitFor(() => late);
    expect(late).toBeInstanceOf(TransactionEndedError);
    expect(await notes(database)).toEqual([]);
    expect(await taskRunsOf(database, id)).toMatchObject([{ state_name: 'TimedOut' }]);
    // None of the connections was left in the lurch.
    await Promise.all(Array.from({ length: 8 }, () => books.note('after')));
  });

  it('has its hooks called by the next process, when the one dies that has committed it [F11]', async () => {
    const gate = new Gate();
    const [dying, next] = [await startBooks(database, { app: 'hooks' }), await startBooks(database, { app: 'hooks' })];
    try {
      const told: unknown[] = [];
      next.get(Books).tell = async (context) => void told.push({ ...context, committed: await notes(database) });
      dying.get(Books).tell = async ({ state }) => (state.type === 'COMPLETED' ? gate.pass() : undefined);
      dying.get(Books).work = () => dying.get(Books).note('written');
      dying.get(Books).script = () => dying.get(Books).bookAndTell({ id: 1 });
      await dying.get(Flows).start(Books, 'keep');
      await gate.reached;
      await dying.get(HookDelivery).stop();
      const { processId } = dying.get(ProcessLease);
      await sql(database, 'update nestor.process set fenced_at = clock_timestamp() where id = $1', [processId]);
      next.get(HookDelivery).announce();
      await waitFor(async () => (await sql(database, 'select from nestor.owed_hooks')).length === 0);
      expect(told).toEqual([expect.objectContaining({ args: [{ id: 1 }], committed: ['written'] })]);
    } finally {
      gate.open();
      await Promise.all([dying.close(), next.close()]);
    }
  });

  it('whose constraint is checked at the end fails when that does', async () => {
    await sql(database, 'create table pledge (id integer references entry (id) deferrable initially deferred)');
    books.work = async () => {
      await books.note('in vain');
      await books.dataSource.query('insert into pledge values (-1)');
    };
    const { id, outcome } = await run(() => books.book());
    expect(outcome).toMatchObject({ name: 'QueryFailedError', code: '23503' });
    expect(await notes(database)).toEqual([]);
    const [task] = await taskRunsOf(database, id);
    expect(await stateNames(database, task!.id)).toEqual(['Pending', 'Running', 'Failed']);
  });

  it('may see the database as it was at its beginning', async () => {
    books.work = async () => {
      const before = await books.entries.count();
      await sql(database, `insert into entry (note) values ('meanwhile')`);
      await sql(database, 'update nestor.process set heartbeat_at = clock_timestamp()'); // which happens all the time
      const after = await books.entries.count();
      await books.note('mine');
      return [before, after];
    };
    const { outcome } = await run(() => books.bookSteadily());
    expect(outcome).toEqual([0, 0]);
    expect(await notes(database)).toEqual(['meanwhile', 'mine']);
  });
});
