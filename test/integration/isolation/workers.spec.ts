import { existsSync, writeFileSync } from 'node:fs';
import { bestOf } from '../../support/best-of.js';
import { flowRunOf, illegalHistories } from '../../support/history.js';
import { TransactionPooler } from '../../support/transaction-pooler.js';
import { waitFor } from '../../support/wait-for.js';
import { IsolationTest } from './support/isolation-test.js';
import { isAlive } from './support/worker-process.js';

/** What comes after a grace period: the signal, and the notes that are made of it. */
const AFTER_GRACE_MS = 1_000;

jest.setTimeout(60_000);

describe('workers that give each run a process', () => {
  let test: IsolationTest;

  beforeAll(async () => void (test = await IsolationTest.start('nest-process')));
  afterEach(async () => {
    await test.endWorkers();
    expect(await illegalHistories(test.database)).toEqual([]);
  });
  afterAll(() => test.close());

  it('kill it when it does not end within its grace; its room is free then [W10] [R04]', async () => {
    const worker = await test.startWorker({ killGrace: '1s', limit: 1 });
    const cancelled = async (): Promise<number> => {
      const id = await test.enqueue('spin');
      await test.logged(id, 'spinning');
      const next = await test.enqueue('tell');
      const { pid } = await test.placeOf(id);
      const askedAt = performance.now();
      await test.control.cancel(id);
      await waitFor(() => !isAlive(pid));
      expect(performance.now() - askedAt).toBeGreaterThanOrEqual(990);
      await test.entered(id, 'CANCELLED');
      expect(await test.messageOf(id, 'Cancelled')).toBe('Its infrastructure has ended.');
      const ms = performance.now() - askedAt;
      await test.result(next);
      await waitFor(() => test.hasCalledHook('Cancelled', id, worker));
      return ms;
    };
    expect(await bestOf(1_000 + AFTER_GRACE_MS, cancelled)).toBeLessThan(1_000 + AFTER_GRACE_MS);
  });

  it('find out by looking that it is cancelled, where nobody can tell them [R03]', async () => {
    const pooler = await TransactionPooler.start(test.database); // which passes no notifications on
    try {
      test.pool = 'pool-behind-a-pooler';
      await test.pools.createIfAbsent(test.pool, { type: test.type });
      const id = await test.enqueue('spin'); // which is found when the worker starts: nobody could tell it later
      const worker = await test.startWorker({ samePool: true, database: { url: pooler.url }, killGrace: '100ms' });
      await test.logged(id, 'spinning');
      await test.control.cancel(id);
      await test.entered(id, 'CANCELLED');
      expect(worker.output).toContain('behind a pooler');
      await test.endWorkers();
    } finally {
      await pooler.close();
    }
  });

  it('note that the application could not be started for it', async () => {
    await test.startWorker({ isBroken: true });
    const id = await test.enqueue('tell');
    await test.entered(id, 'CRASHED');
    expect(await test.messageOf(id, 'Crashed')).toBe(
      'The application could not be started for it: Error: no settings for it',
    );
  });

  it('take it along when they are killed, also when it never looks up; it goes on in another [W12]', async () => {
    const worker = await test.startWorker();
    const id = await test.enqueue('litter', [], { temporary_dir: true });
    await test.logged(id, /^in /);
    const { pid } = await test.placeOf(id);
    const directory = (await test.linesOf(id)).at(-1)!.message.slice(3);
    expect(existsSync(directory)).toBe(true);
    await worker.end('SIGKILL');
    await waitFor(() => !isAlive(pid), 5_000);
    await waitFor(() => !existsSync(directory));
    await test.entered(id, 'SCHEDULED');
    await test.control.cancel(id);
    await test.entered(id, 'CANCELLED');
  });

  it('leave it to workers of the build that began it, where its flow asks for that', async () => {
    const old = await test.startWorker({ buildId: 'A' });
    const end = test.newFile();
    const id = await test.enqueue('pinned', [end]);
    await test.completedTask(id);
    const { pid } = await test.placeOf(id);
    await old.end('SIGTERM');
    writeFileSync(end, '');
    await test.startWorker({ samePool: true, buildId: 'B' });
    await test.result(await test.enqueue('tell')); // it takes what it may
    expect((await flowRunOf(test.database, id)).state_type).toBe('SCHEDULED');
    expect(await test.blockersOf(id)).toContain('BUILD_NOT_RUNNING');
    await test.startWorker({ samePool: true, buildId: 'A' });
    const [first, second] = (await test.result(id)) as number[];
    expect(first).toBe(pid);
    expect(second).not.toBe(pid);
  });

  it('have it hand itself back when they shut down; another goes on with it [R05]', async () => {
    const worker = await test.startWorker();
    const end = test.newFile();
    const id = await test.enqueue('twice', [end]);
    await test.completedTask(id);
    const { pid } = await test.placeOf(id);
    await worker.end('SIGTERM');
    expect(isAlive(pid)).toBe(false);
    expect((await flowRunOf(test.database, id)).state_type).toBe('SCHEDULED');
    await test.startWorker({ samePool: true });
    writeFileSync(end, '');
    expect(((await test.result(id)) as number[])[0]).toBe(pid);
    expect((await flowRunOf(test.database, id)).empirical_policy.recoveries).toBe(0);
  });
});
