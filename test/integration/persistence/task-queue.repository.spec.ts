import { addMs, advanceTaskRun, instantOfMs, scheduled, type Instant, type TaskRun } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import type { NewQueuedTask } from '../../../libs/orchestrator/src/records/task-queue/task-queue-rows.js';
import { claimTasks } from '../../../libs/orchestrator/src/records/task-queue/task-queue-statements.js';
import { TaskQueueRepository } from '../../../libs/orchestrator/src/records/task-queue/task-queue.repository.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { join, openStore, type Store } from './support/store.js';

const APP = 'test';

describe('the queue of task runs', () => {
  let database: TestDatabase;
  let store: Store;
  let queue: TaskQueueRepository;
  let me: string;

  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database);
    queue = new TaskQueueRepository(store.dataSource);
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });
  beforeEach(async () => void (me = await join(store)));
  afterEach(() => sql(database, 'truncate nestor.task_queue, nestor.task_run, nestor.task_run_state'));

  const newTask = (
    taskKey: string,
    { dueAt = instantOfMs(Date.now() - 1_000), key = null }: { dueAt?: Instant; key?: string | null } = {},
  ): NewQueuedTask => {
    const id = newId();
    const blank: TaskRun = {
      ...{ kind: 'task-run', id, flowRunId: null, flowRunRunCount: 0, policy: { retries: 0, retryDelaysMs: [] } },
      ...{ state: null, runCount: 0, expectedStartTime: null, nextScheduledStartTime: null },
      ...{ startTime: null, endTime: null, totalRunTimeUs: 0 },
    };
    const proposed = scheduled({ scheduledTime: dueAt, details: { deferred: true } });
    const run = advanceTaskRun(blank, { ...proposed, id: newId(), timestamp: instantOfMs(Date.now()) }, 0);
    const created = {
      ...{ id, flowRunId: null, parentTaskRunId: null, name: 'a run', taskKey, dynamicKey: id },
      ...{ tags: ['a "tag"'], taskVersion: null, inputs: null },
    };
    return { created, run, app: APP, key, parameters: '{"0":"a \\"text\\""}' };
  };
  const enqueue = (...tasks: NewQueuedTask[]) => store.transactions.single((tx) => queue.enqueue(tx, tasks));
  const claim = (taskKeys: string[], limit = 10, processId = me) =>
    store.transactions.single((tx) => queue.claim(tx, { processId, app: APP, taskKeys, limit }));
  const claimedIds = async (taskKeys: string[], limit = 10): Promise<string[]> =>
    (await claim(taskKeys, limit)).map(({ id }) => id);
  const move = (...moves: Parameters<TaskQueueRepository['move']>[2]) =>
    store.transactions.single((tx) => queue.move(tx, me, moves));
  const idOf = ({ created }: NewQueuedTask): string => created.id;

  it('takes a run once, however often it is put in', async () => {
    const task = newTask('a');
    expect(await enqueue(task)).toEqual(new Set([idOf(task)]));
    expect(await enqueue(task)).toEqual(new Set([idOf(task)]));
    expect(await claimedIds(['a'])).toEqual([idOf(task)]);
    expect((await queue.load([idOf(task)])).get(idOf(task))).toMatchObject({
      created: { tags: ['a "tag"'], name: 'a run' },
      run: { state: { type: 'SCHEDULED' }, expectedStartTime: task.run.expectedStartTime },
      parameters: task.parameters,
    });
  });

  it('does not take a run again that has left it', async () => {
    const task = newTask('a');
    await enqueue(task);
    const [claimed] = await claim(['a']);
    await move({ taskRunId: idOf(task), epoch: claimed!.epoch, to: 'gone' });
    await enqueue(task);
    expect(await claimedIds(['a'])).toEqual([]);
  });

  it('takes one of those with the same key', async () => {
    const [one, other] = [newTask('a', { key: 'k' }), newTask('a', { key: 'k' })];
    expect((await enqueue(one, other)).size).toBe(1);
    expect(await enqueue(newTask('b', { key: 'k' }), newTask('a'))).toHaveProperty('size', 2);
    expect(await queue.findByKey(APP, 'a', 'k')).toBe(idOf(one));
    expect(await queue.findByKey(APP, 'a', 'other')).toBeNull();
  });

  it('gives what is due, of the tasks that are asked for, the oldest first', async () => {
    const now = instantOfMs(Date.now());
    const at = (ms: number) => newTask('a', { dueAt: addMs(now, ms) });
    const [third, first, second, future] = [at(-1_000), at(-3_000), at(-2_000), at(60_000)];
    await enqueue(third, first, second, future, newTask('b'));
    expect(await claimedIds(['a'], 2)).toEqual([idOf(first), idOf(second)]);
    expect(await claimedIds(['a'])).toEqual([idOf(third)]);
    const nextDue = await queue.nextDueInMs(APP, ['a']);
    expect(nextDue).toBeGreaterThan(50_000);
    expect(nextDue).toBeLessThanOrEqual(60_000);
    expect(await queue.nextDueInMs(APP, ['a', 'b'])).toBeLessThan(0);
    expect(await queue.nextDueInMs(APP, ['c'])).toBeNull();
    expect(await queue.nextDueInMs('another app', ['a'])).toBeNull();
  });

  it('gives runs of several tasks, in the order of the tasks, and no more than are asked for', async () => {
    const [a, b] = [Array.from({ length: 3 }, () => newTask('a')), Array.from({ length: 3 }, () => newTask('b'))];
    await enqueue(...a, ...b);
    expect((await claimedIds(['b', 'a'], 4)).sort()).toEqual([...b.map(idOf), idOf(a[0]!)].sort());
  });

  it('gives each run to one of those who ask at the same time', async () => {
    const tasks = Array.from({ length: 200 }, () => newTask('a'));
    await enqueue(...tasks);
    const others = await Promise.all(Array.from({ length: 4 }, () => join(store)));
    const claims = await Promise.all(others.flatMap((id) => [claim(['a'], 30, id), claim(['a'], 30, id)]));
    const ids = claims.flat().map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(100);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('gives nothing to a process that is fenced, and takes nothing back from it', async () => {
    await enqueue(newTask('a'), newTask('b'));
    const [claimed] = await claim(['a']);
    await sql(database, 'update nestor.process set fenced_at = now() where id = $1', [me]);
    expect(await claim(['b'])).toEqual([]);
    expect(await move({ taskRunId: claimed!.id, epoch: claimed!.epoch, to: 'gone' })).toBe(false);
    expect(await queue.countByTask(APP)).toEqual([
      { taskKey: 'a', queued: 0, running: 1, deadLetters: 0 },
      { taskKey: 'b', queued: 1, running: 0, deadLetters: 0 },
    ]);
  });

  it('lets a run be moved by whoever has it, and once', async () => {
    const task = newTask('a');
    await enqueue(task);
    const [first] = await claim(['a']);
    const again = { taskRunId: idOf(task), epoch: first!.epoch, to: instantOfMs(Date.now() - 500) };
    await move(again);
    const [second] = await claim(['a']);
    expect(second!.epoch).toBe(first!.epoch + 1);
    await move(again); // a late repetition
    expect(await queue.claimedBy(me)).toEqual([second]);
    await move({ ...again, epoch: second!.epoch, to: 'dead' });
    expect(await queue.claimedBy(me)).toEqual([]);
    expect(await claim(['a'])).toEqual([]);
    expect((await queue.deadLetters(APP, { limit: 10 })).map(({ taskRunId }) => taskRunId)).toEqual([idOf(task)]);
    expect(await queue.deadLetters(APP, { limit: 10, before: idOf(task) })).toEqual([]);
    expect(await queue.deadLetters('another app', { limit: 10 })).toEqual([]);
  });

  it('lets runs of dead processes be taken over, each by one, and counts how often', async () => {
    await enqueue(...Array.from({ length: 20 }, () => newTask('a')), newTask('b'));
    await claim(['a', 'b'], 30);
    const others = await Promise.all([join(store), join(store), join(store)]);
    const adopt = (processId: string) =>
      store.transactions.single((tx) => queue.adopt(tx, { processId, app: APP, taskKeys: ['a'], limit: 10 }));
    expect(await adopt(others[0])).toEqual([]);
    await sql(database, 'update nestor.process set fenced_at = now() where id = $1', [me]);
    const adopted = (await Promise.all(others.map(adopt))).flat();
    expect(new Set(adopted.map(({ id }) => id)).size).toBe(20);
    expect(adopted.every(({ epoch, recoveries }) => epoch === 2 && recoveries === 1)).toBe(true);
    expect(await queue.claimedBy(me)).toHaveLength(1);
  });

  it('is looked through by its indexes, however much of other tasks is there', async () => {
    await sql(
      database,
      `insert into nestor.task_queue (task_run_id, app, task_key, due_at, process_id)
       select gen_random_uuid(), 'test', 'other ' || n % 50, now() - n * interval '1 second', null
         from generate_series(1, 20000) as n`,
    );
    await sql(
      database,
      `insert into nestor.task_queue (task_run_id, app, task_key, due_at)
       select gen_random_uuid(), 'test', 'later', now() + n * interval '1 second' from generate_series(1, 5000) as n`,
    );
    await sql(database, 'analyze nestor.task_queue');
    const plan = await sql<{ 'QUERY PLAN': string }>(
      database,
      `explain (analyze, costs off, timing off, summary off) ${claimTasks('nestor')
        .replace(/\$1/g, `'${me}'`)
        .replace(/\$2/g, `'test'`)
        .replace(/\$3/g, `'{later,none}'`)
        .replace(/\$4/g, '10')
        .replace(/\$5/g, '0')}`,
    );
    const lines = plan.map((row) => row['QUERY PLAN']);
    expect(lines.filter((line) => line.includes('Seq Scan on task_queue'))).toEqual([]);
    expect(lines.find((line) => line.includes('task_queue_due_idx'))).toContain('rows=0');
    expect(lines.filter((line) => line.includes('Rows Removed by Filter'))).toEqual([]);
  });
});
