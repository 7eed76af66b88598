import { hostname } from 'node:os';
import { illegalHistories, stateNames } from '../../support/history.js';
import { waitFor } from '../../support/wait-for.js';
import type { ENDS } from './support/isolated-flows.js';
import { IsolationTest } from './support/isolation-test.js';
import { isAlive } from './support/worker-process.js';

jest.setTimeout(60_000);

describe('workers that give each run a thread', () => {
  let test: IsolationTest;

  beforeAll(async () => void (test = await IsolationTest.start('nest-thread')));
  afterEach(async () => {
    await test.endWorkers();
    expect(await illegalHistories(test.database)).toEqual([]);
  });
  afterAll(() => test.close());

  it('execute it there, keep what it prints, and note where it is [W12]', async () => {
    const worker = await test.startWorker();
    const id = await test.enqueue('tell', [], { env: { WORD: 'yes' } });
    const told = (await test.result(id)) as { pid: number; threadId: number };
    expect(told).toMatchObject({ pid: worker.pid, isMainThread: false, word: 'yes' });
    expect(await test.placeOf(id)).toEqual({ host: hostname(), pid: worker.pid, thread: told.threadId });
    await test.logged(id, 'not a whole line');
    expect((await test.linesOf(id)).map(({ message }) => message).sort()).toEqual(
      ['a word of warning', `hello from ${worker.pid}`, 'not a whole line', 'said to the log'].sort(),
    );
  });

  it('terminate it when it does not end within its grace; its room is free then', async () => {
    const worker = await test.startWorker({ killGrace: '1s', limit: 1 });
    const id = await test.enqueue('spin');
    await test.completedTask(id);
    const next = await test.enqueue('tell');
    const askedAt = performance.now();
    await test.control.cancel(id);
    await test.entered(id, 'CANCELLED');
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(990);
    expect(performance.now() - askedAt).toBeLessThan(2_000);
    await test.result(next);
    expect(isAlive(worker.pid)).toBe(true);
  });

  it.each<[keyof typeof ENDS, RegExp]>([
    ['exit 3', /exit code 3\.$/],
    ['uncaught error', /SyntaxError/],
    ['out of heap', /out of memory|memory limit/i],
  ])('note how it ended when it has been tried often enough; they go on: %s [W11]', async (how, message) => {
    const worker = await test.startWorker();
    const id = await test.enqueue('end', [how], how === 'out of heap' ? { max_heap_mb: 64 } : {});
    await test.entered(id, 'CRASHED');
    expect(await test.messageOf(id, 'Crashed')).toMatch(message);
    expect(await stateNames(test.database, id)).toContain('AwaitingResume');
    expect(isAlive(worker.pid)).toBe(true);
  });

  it('have it hand itself back when they shut down [R05]', async () => {
    const worker = await test.startWorker();
    const id = await test.enqueue('twice', [test.newFile()]);
    await test.completedTask(id);
    await worker.end('SIGTERM');
    await test.entered(id, 'SCHEDULED');
    await waitFor(() => !isAlive(worker.pid));
    await test.control.cancel(id);
    await test.entered(id, 'CANCELLED');
  });
});
