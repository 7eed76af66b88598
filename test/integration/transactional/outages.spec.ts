import type { INestApplicationContext } from '@nestjs/common';
import { Flows, LeaseLostError } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { ProcessLease } from '../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { Books, createBooks, notes, startBooks } from './support/books.js';
import { CommitProxy } from './support/commit-proxy.js';

describe('a transactional task', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let books: Books;

  beforeAll(async () => {
    database = await testDatabase();
    await createBooks(database);
  });
  beforeEach(() => sql(database, 'delete from entry'));
  afterEach(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
  });
  afterAll(() => database.drop());

  const start = async (options: Parameters<typeof startBooks>[1] = {}): Promise<void> => {
    app = await startBooks(database, options);
    books = app.get(Books);
  };
  /** Runs a flow that calls a task; gives the task run beside what became of it. */
  const run = async (task: () => Promise<unknown>) => {
    books.script = task;
    const handle = await app.get(Flows).start(Books, 'keep');
    const outcome = await handle.result().catch((error: unknown) => error);
    const [taskRun] = await taskRunsOf(database, handle.id);
    return { outcome, taskRun: taskRun!, names: await stateNames(database, taskRun!.id) };
  };

  describe('whose commit', () => {
    let proxy: CommitProxy;
    let executed: number;
    beforeEach(async () => {
      proxy = await CommitProxy.start(database);
      await start({ hostUrl: proxy.url });
      executed = 0;
      books.work = async () => {
        executed += 1;
        await books.note(`written ${executed}`);
        return executed;
      };
    });
    afterEach(() => proxy.close());

    it('is not answered because the connection broke is found to be recorded, and is not executed again', async () => {
      proxy.next = 'unanswered';
      const { outcome, names } = await run(() => books.bookTwice());
      expect(proxy.met).toBe(1);
      expect({ outcome, executed }).toEqual({ outcome: 1, executed: 1 });
      expect(await notes(database)).toEqual(['written 1']);
      expect(names).toEqual(['Pending', 'Running', 'Completed']);
    });

    it('did not reach the server is found not to be recorded, and counts as a failure', async () => {
      proxy.next = 'lost';
      const { outcome, names } = await run(() => books.bookTwice());
      expect(proxy.met).toBe(1);
      expect({ outcome, executed }).toEqual({ outcome: 2, executed: 2 });
      expect(await notes(database)).toEqual(['written 2']);
      expect(names).toEqual(['Pending', 'Running', 'Retrying', 'Completed']);
    });

    it('is not answered at all is looked for after a while', async () => {
      proxy.next = 'silent';
      const { outcome, names } = await run(() => books.bookTwice());
      expect({ outcome, executed }).toEqual({ outcome: 1, executed: 1 });
      expect(await notes(database)).toEqual(['written 1']);
      expect(names).toEqual(['Pending', 'Running', 'Completed']);
    });
  });

  describe('when the database is away', () => {
    let proxy: DatabaseProxy;
    beforeEach(async () => (proxy = await DatabaseProxy.start(database)));
    afterEach(() => proxy.close());

    it('waits for it before it begins', async () => {
      await start({ hostUrl: proxy.url });
      books.work = () => books.note('after all');
      proxy.cut();
      const running = run(() => books.book());
      await waitFor(
        async () => (await sql(database, `select from nestor.task_run where state_type = 'RUNNING'`)).length > 0,
      );
      await proxy.restore();
      expect(await running).toMatchObject({ outcome: undefined, names: ['Pending', 'Running', 'Completed'] });
      expect(await notes(database)).toEqual(['after all']);
    });

    it('waits for it to find out what was committed', async () => {
      await start({ url: proxy.url, hostUrl: proxy.url });
      let executed = 0;
      const isCut = new Gate();
      books.work = async () => {
        executed += 1;
        await books.note(`written ${executed}`);
        if (executed > 1) return;
        proxy.cut();
        void isCut.pass();
      };
      const running = run(() => books.bookTwice());
      await isCut.reached;
      await new Promise((resolve) => setImmediate(resolve)); // until the port is free
      await proxy.restore();
      expect(await running).toMatchObject({
        outcome: undefined,
        names: ['Pending', 'Running', 'Retrying', 'Completed'],
      });
      expect(await notes(database)).toEqual(['written 2']);
    });
  });

  it.each<[string, () => Promise<unknown>]>([
    ['executes a statement', () => books.dataSource.query('select pg_sleep(30)')],
    ['does something else', () => new Promise(() => undefined)],
    ['has lost its database', async () => (proxies[0]!.cut(), new Promise(() => undefined))],
  ])('that %s when the application closes is rolled back, and holds nothing up', async (_, work) => {
    proxies.push(await DatabaseProxy.start(database));
    await start({ hostUrl: proxies[0]!.url });
    const gate = new Gate();
    books.script = () => books.book();
    books.work = async () => {
      await books.note('in vain');
      void gate.pass();
      await work();
    };
    const calling = books.keep().catch((error: unknown) => error);
    await gate.reached;
    const begun = performance.now();
    await app.close();
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(await calling).toMatchObject({ code: 'RUN_HANDED_BACK' });
    expect(await notes(database)).toEqual([]);
    proxies.pop()!.close();
  });
  const proxies: DatabaseProxy[] = [];

  describe('whose process is fenced while it runs', () => {
    const fence = () =>
      sql(database, 'update nestor.process set fenced_at = clock_timestamp() where id = $1', [
        app.get(ProcessLease).processId,
      ]);

    const forgetAll = () =>
      sql(database, 'truncate nestor.task_run, nestor.task_run_state, nestor.flow_run, nestor.flow_run_state');

    it.each<[string, 'book' | 'bookSteadily']>([
      ['', 'book'],
      [', although its transaction does not see that', 'bookSteadily'],
    ])('commits nothing once its run was moved%s', async (_, task) => {
      await start({ maxRecoveries: 10 });
      const gate = new Gate();
      books.script = () => books[task]();
      books.work = async () => {
        await books.note('in vain');
        await gate.pass();
      };
      const calling = books.keep().catch((error: unknown) => error);
      await gate.reached;
      const [flowRun] = await sql<{ id: string }>(database, 'select id from nestor.flow_run where process_id = $1', [
        app.get(ProcessLease).processId,
      ]);
      await fence();
      // What whoever takes it over does.
      await sql(database, 'update nestor.flow_run set lease_epoch = lease_epoch + 1 where id = $1', [flowRun!.id]);
      gate.open();
      expect(await calling).toBeInstanceOf(LeaseLostError);
      expect(await notes(database)).toEqual([]);
      expect(await taskRunsOf(database, flowRun!.id)).toMatchObject([{ state_type: 'RUNNING' }]);
      await forgetAll(); // nobody takes over what the test has moved
    });

    it('commits nothing outside any flow either', async () => {
      await start();
      books.work = async () => {
        await books.note('in vain');
        await fence();
      };
      await expect(books.book()).rejects.toThrow(LeaseLostError);
      expect(await notes(database)).toEqual([]);
      await forgetAll();
    });
  });
});
