import { existsSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { flowRunOf, illegalHistories, stateNames } from '../../support/history.js';
import { TransactionPooler } from '../../support/transaction-pooler.js';
import { waitFor } from '../../support/wait-for.js';
import type { ENDS } from './support/isolated-flows.js';
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

  it('execute it there, keep what it prints, and note where it is [W10] [W12]', async () => {
    const worker = await test.startWorker();
    const id = await test.enqueue('tell', [], { env: { WORD: 'yes' } });
    const told = (await test.result(id)) as { pid: number; word: string; directory: string };
    const place = await test.placeOf(id);
    expect(place).toEqual({ host: hostname(), pid: told.pid });
    expect(told).toMatchObject({ word: 'yes', directory: process.cwd() });
    expect(told.pid).not.toBe(worker.pid);
    expect(await stateNames(test.database, id)).toEqual(['Scheduled', 'Pending', 'Submitting', 'Running', 'Completed']);

    await test.logged(id, 'not a whole line');
    expect((await test.linesOf(id)).map(({ level, message }) => [level, message]).sort()).toEqual([
      [20, `hello from ${told.pid}`],
      [20, 'not a whole line'],
      [20, 'said to the log'],
      [30, 'a word of warning'],
    ]);
    expect(worker.output).toMatch(/\w+-\w+: hello from \d+/);
    expect(worker.output.match(/said to the log/g)).toHaveLength(1);
    await waitFor(() => !isAlive(told.pid));
  });

  it('give it an empty directory that is gone afterwards, when asked to [W12]', async () => {
    await test.startWorker();
    const { directory } = (await test.result(await test.enqueue('tell', [], { temporary_dir: true }))) as {
      directory: string;
    };
    expect(directory).toMatch(/nestor-run-\w+$/);
    await waitFor(() => !existsSync(directory));
  });

  it('keep nothing of what it prints, when asked to', async () => {
    await test.startWorker();
    const id = await test.enqueue('tell', [], { stream_output: false });
    await test.result(id);
    await test.logged(id, 'said to the log');
    expect(await test.linesOf(id)).toHaveLength(1);
  });

  it('execute as many at a time as they may; the next begins when one ends [R01]', async () => {
    await test.startWorker(); // five, where nothing else is said
    const ends = Array.from({ length: 6 }, () => test.newFile());
    const ids: string[] = [];
    for (const end of ends) ids.push(await test.enqueue('twice', [end]));
    const running = async (): Promise<string[]> => {
      const runs = await Promise.all(ids.map((id) => flowRunOf(test.database, id)));
      return runs.filter(({ state_type }) => state_type === 'RUNNING').map(({ id }) => id);
    };
    await waitFor(async () => (await running()).length === 5, 40_000);
    const last = ids[5]!;
    expect((await flowRunOf(test.database, last)).state_type).toBe('SCHEDULED');
    const pids = await Promise.all(ids.slice(0, 5).map(async (id) => (await test.placeOf(id)).pid));
    expect(new Set(pids).size).toBe(5);
    writeFileSync(ends[0]!, '');
    await test.result(ids[0]!);
    await test.entered(last, 'RUNNING');
    for (const end of ends) writeFileSync(end, '');
    await Promise.all(ids.map((id) => test.result(id)));
  });

  it('ask it to end when it is cancelled; its signal fires [W10]', async () => {
    await test.startWorker();
    const id = await test.enqueue('wait');
    await test.logged(id, 'waiting');
    const { pid } = await test.placeOf(id);
    await test.control.cancel(id);
    await test.entered(id, 'CANCELLED');
    await waitFor(() => !isAlive(pid));
  });

  it('kill it when it does not end within its grace; its room is free then [W10] [R04]', async () => {
    const worker = await test.startWorker({ killGrace: '1s', limit: 1 });
    const id = await test.enqueue('spin');
    await test.logged(id, 'spinning');
    const next = await test.enqueue('tell');
    const { pid } = await test.placeOf(id);
    const askedAt = performance.now();
    await test.control.cancel(id);
    await waitFor(() => !isAlive(pid));
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(990);
    expect(performance.now() - askedAt).toBeLessThan(1_000 + AFTER_GRACE_MS);
    await test.entered(id, 'CANCELLED');
    expect(await test.messageOf(id, 'Cancelled')).toBe('Its infrastructure has ended.');
    expect(performance.now() - askedAt).toBeLessThan(1_000 + AFTER_GRACE_MS);
    await test.result(next);
    await waitFor(() => test.hasCalledHook('Cancelled', id, worker));
  });

  it('find out by looking that it is cancelled, where nobody can tell them [R03]', async () => {
    const pooler = await TransactionPooler.start(test.database); // which passes no notifications on
    try {
      const worker = await test.startWorker({ database: { url: pooler.url }, killGrace: '100ms' });
      const id = await test.enqueue('spin');
      await test.logged(id, 'spinning');
      await test.control.cancel(id);
      await test.entered(id, 'CANCELLED');
      expect(worker.output).toContain('behind a pooler');
      await test.endWorkers();
    } finally {
      await pooler.close();
    }
  });

  it('have it go on from its records in another process when it was killed [W11]', async () => {
    await test.startWorker();
    const end = test.newFile();
    const id = await test.enqueue('twice', [end]);
    await test.completedTask(id);
    const { pid } = await test.placeOf(id);
    process.kill(pid, 'SIGKILL');
    await waitFor(async () => (await stateNames(test.database, id)).includes('AwaitingResume'));
    writeFileSync(end, '');
    const [first, second] = (await test.result(id)) as number[];
    expect(first).toBe(pid);
    expect(second).not.toBe(pid);
    expect(second).toBe((await test.placeOf(id)).pid);
    expect(await test.messageOf(id, 'AwaitingResume')).toMatch(/SIGKILL: .*out of memory/);
    expect((await flowRunOf(test.database, id)).empirical_policy.recoveries).toBe(1);
  });

  it.each<[keyof typeof ENDS, RegExp]>([
    ['exit 3', /exit code 3\.$/],
    ['uncaught error', /exit code 1\.$/],
    ['SIGKILL', /SIGKILL: .*out of memory/],
    ['SIGSEGV', /SIGSEGV: .*invalid address/],
    ['out of heap', /SIGABRT: .*heap/],
  ])('note how it ended when it has been tried often enough: %s [W11] [R04]', async (how, message) => {
    const worker = await test.startWorker();
    const heap = how === 'out of heap' ? { max_heap_mb: 64 } : {};
    const id = await test.enqueue('end', [how], heap);
    await test.entered(id, 'CRASHED');
    expect(await test.messageOf(id, 'Crashed')).toMatch(message);
    const names = await stateNames(test.database, id);
    expect(names.filter((name) => name === 'AwaitingResume' || name === 'Crashed')).toEqual([
      'AwaitingResume',
      'Crashed',
    ]);
    await waitFor(() => test.hasCalledHook('Crashed', id, worker));
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
    expect(existsSync(directory)).toBe(false);
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
