import { existsSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { flowRunOf, illegalHistories, stateNames } from '../../support/history.js';
import { waitFor } from '../../support/wait-for.js';
import type { ENDS } from './support/isolated-flows.js';
import { IsolationTest } from './support/isolation-test.js';
import { isAlive, type WorkerProcess } from './support/worker-process.js';

jest.setTimeout(60_000);

describe('a worker that gives each run a process', () => {
  let test: IsolationTest;
  let worker: WorkerProcess;

  beforeAll(async () => {
    test = await IsolationTest.start('nest-process');
    worker = await test.startWorker();
  });
  afterEach(async () => expect(await illegalHistories(test.database)).toEqual([]));
  afterAll(async () => {
    await test.endWorkers();
    await test.close();
  });

  it('execute it there, keep what it prints, and note where it is [W10] [W12]', async () => {
    const id = await test.enqueue('tell', [], { env: { WORD: 'yes' } });
    const told = (await test.result(id)) as { pid: number; word: string; directory: string };
    const place = await test.placeOf(id);
    expect(place).toEqual({ host: hostname(), pid: told.pid });
    expect(told).toMatchObject({ word: 'yes', directory: process.cwd() });
    expect(told.pid).not.toBe(worker.pid);
    expect(await stateNames(test.database, id)).toEqual(['Scheduled', 'Pending', 'Submitting', 'Running', 'Completed']);

    const lines = await test.lines(id, 4);
    expect(lines.map(({ level, message }) => [level, message]).sort()).toEqual([
      [20, `hello from ${told.pid}`],
      [20, 'not a whole line'],
      [20, 'said to the log'],
      [30, 'a word of warning'],
    ]);
    await waitFor(() => !isAlive(told.pid));
    await waitFor(() => worker.output.includes('said to the log') && worker.output.includes('hello from'));
    expect(worker.output).toMatch(/\w+-\w+: hello from \d+/);
    expect(worker.output.match(/said to the log/g)).toHaveLength(1);
  });

  it('give it an empty directory that is gone afterwards, when asked to [W12]', async () => {
    const { directory } = (await test.result(await test.enqueue('tell', [], { temporary_dir: true }))) as {
      directory: string;
    };
    expect(directory).toMatch(/nestor-run-\w+$/);
    await waitFor(() => !existsSync(directory));
  });

  it('keep nothing of what it prints, when asked to', async () => {
    const id = await test.enqueue('tell', [], { stream_output: false });
    await test.result(id);
    await test.logged(id, 'said to the log');
    expect(await test.linesOf(id)).toHaveLength(1);
  });

  it('execute as many at a time as they may; the next begins when one ends [R01]', async () => {
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
    const id = await test.enqueue('wait');
    await test.logged(id, 'waiting');
    const { pid } = await test.placeOf(id);
    await test.control.cancel(id);
    await test.entered(id, 'CANCELLED');
    await waitFor(() => !isAlive(pid));
  });

  it('have it go on from its records in another process when it was killed [W11]', async () => {
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
});
