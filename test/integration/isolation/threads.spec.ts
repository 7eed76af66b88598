import { hostname } from 'node:os';
import { bestOf } from '../../support/best-of.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { waitFor } from '../../support/wait-for.js';
import type { ENDS } from './support/isolated-flows.js';
import { IsolationTest } from './support/isolation-test.js';
import { isAlive, type WorkerProcess } from './support/worker-process.js';

jest.setTimeout(60_000);

describe('workers that give each run a thread', () => {
  let test: IsolationTest;
  /** Of the tests that ask for nothing particular. */
  let worker: WorkerProcess;

  beforeAll(async () => {
    test = await IsolationTest.start('nest-thread');
    worker = await test.startWorker();
  });
  afterEach(async () => expect(await illegalHistories(test.database)).toEqual([]));
  afterAll(async () => {
    await test.endWorkers();
    await test.close();
  });

  it('execute it there, keep what it prints, and note where it is [W12]', async () => {
    const id = await test.enqueue('tell', [], { env: { WORD: 'yes' } });
    const told = (await test.result(id)) as { pid: number; threadId: number };
    expect(told).toMatchObject({ pid: worker.pid, isMainThread: false, word: 'yes' });
    expect(await test.placeOf(id)).toEqual({ host: hostname(), pid: worker.pid, thread: told.threadId });
    const lines = await test.lines(id, 4);
    expect(lines.map(({ message }) => message).sort()).toEqual(
      ['a word of warning', `hello from ${worker.pid}`, 'not a whole line', 'said to the log'].sort(),
    );
  });

  it.each<[keyof typeof ENDS, RegExp]>([
    ['exit 3', /exit code 3\.$/],
    ['uncaught error', /SyntaxError/],
    ['out of heap', /out of memory|memory limit/i],
  ])('note how it ended when it has been tried often enough; they go on: %s [W11]', async (how, message) => {
    const id = await test.enqueue('end', [how], how === 'out of heap' ? { max_heap_mb: 64 } : {});
    await test.entered(id, 'CRASHED');
    expect(await test.messageOf(id, 'Crashed')).toMatch(message);
    expect(await stateNames(test.database, id)).toContain('AwaitingResume');
    expect(isAlive(worker.pid)).toBe(true);
  });

  it('terminate it when it does not end within its grace; its room is free then', async () => {
    const own = await test.startWorker({ killGrace: '1s', limit: 1 });
    const cancelled = async (): Promise<number> => {
      const id = await test.enqueue('spin');
      await test.completedTask(id);
      const next = await test.enqueue('tell');
      const askedAt = performance.now();
      await test.control.cancel(id);
      await test.entered(id, 'CANCELLED');
      const ms = performance.now() - askedAt;
      expect(ms).toBeGreaterThanOrEqual(990);
      await test.result(next);
      expect(isAlive(own.pid)).toBe(true);
      return ms;
    };
    expect(await bestOf(2_000, cancelled)).toBeLessThan(2_000);
  });

  it('have it hand itself back when they shut down [R05]', async () => {
    const own = await test.startWorker();
    const id = await test.enqueue('twice', [test.newFile()]);
    await test.completedTask(id);
    await own.end('SIGTERM');
    await test.entered(id, 'SCHEDULED');
    await waitFor(() => !isAlive(own.pid));
    await test.control.cancel(id);
    await test.entered(id, 'CANCELLED');
  });
});
