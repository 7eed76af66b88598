import type { INestApplicationContext } from '@nestjs/common';
import { WorkPools } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';

describe('work pools', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let pools: WorkPools;
  let count = 0;
  let pool: string;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, poolSize: 2 });
    pools = app.get(WorkPools);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  beforeEach(() => void (pool = `pool-${(count += 1)}`));

  const queueNames = async (): Promise<string[]> => (await pools.queues(pool)).map(({ name }) => name);
  const eventsOf = async (id: string): Promise<string[]> =>
    (
      await sql<{ event: string }>(
        database,
        `select event from nestor.event where resource_id like '%' || $1 order by occurred, id`,
        [id],
      )
    ).map(({ event }) => event);

  it('are created, found, changed and removed, and events say so [W01]', async () => {
    const template = {
      job_configuration: { cpu: '{{ cpu }}' },
      variables: { properties: { cpu: { type: 'number' } } },
    };
    const options = { type: 'process', description: 'Nightly.', concurrencyLimit: 3, baseJobTemplate: template };
    const created = await pools.create(pool, options);
    expect(created).toMatchObject({
      ...{ name: pool, type: 'process', description: 'Nightly.', concurrencyLimit: 3, baseJobTemplate: template },
      ...{ isPaused: false, status: 'NOT_READY', storageConfiguration: {} },
    });
    expect(await pools.find(pool)).toEqual(created);
    expect(await pools.update(pool, { description: null, concurrencyLimit: null })).toMatchObject({
      description: null,
      concurrencyLimit: null,
      type: 'process',
    });
    expect(await pools.pause(pool)).toMatchObject({ isPaused: true, status: 'PAUSED' });
    expect(await pools.resume(pool)).toMatchObject({ isPaused: false, status: 'NOT_READY' });
    expect(await pools.delete(pool)).toBe(true);
    expect(await pools.delete(pool)).toBe(false);
    expect(await pools.find(pool)).toBeNull();
    expect(await eventsOf(created.id)).toEqual([
      ...['prefect.work-pool.created', 'prefect.work-pool.updated'],
      ...['prefect.work-pool.updated', 'prefect.work-pool.paused'],
      ...['prefect.work-pool.updated', 'prefect.work-pool.not-ready'],
      'prefect.work-pool.deleted',
    ]);
  });

  it('have names of their own, also when several processes create one at once', async () => {
    const made = await Promise.allSettled([pools.create(pool), pools.create(pool)]);
    expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await pools.createIfAbsent(pool)).toBe(false);
    await expect(pools.create(pool)).rejects.toMatchObject({ code: 'WORK_POOL_EXISTS', workPool: pool });
    expect(await queueNames()).toEqual(['default']);
  });

  it('are listed by name, a page at a time', async () => {
    await pools.create(`${pool}-b`);
    await pools.create(`${pool}-a`);
    const page = await pools.list({ after: pool, limit: 1 });
    expect(page.map(({ name }) => name)).toEqual([`${pool}-a`]);
    const next = await pools.list({ after: `${pool}-a`, limit: 1 });
    expect(next.map(({ name }) => name)).toEqual([`${pool}-b`]);
    await expect(pools.list({ limit: 0 })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['an empty name', () => pools.create(' '), /needs a name/],
    ['a name with a slash', () => pools.create('a/b'), /none of the characters/],
    ['a limit below 0', () => pools.create(pool, { concurrencyLimit: -1 }), /concurrency limit is -1/],
    ['half a run', () => pools.create(pool, { concurrencyLimit: 0.5 }), /whole number/],
    [
      'a template that refers to nothing',
      () => pools.create(pool, { baseJobTemplate: { job_configuration: { a: '{{ b }}' } } }),
      /refers to "b"/,
    ],
  ])('are refused with %s', async (_, create, message) => {
    await expect(create()).rejects.toMatchObject({
      code: 'INVALID_WORK_POOL',
      message: expect.stringMatching(message),
    });
    expect(await pools.find(pool)).toBeNull();
  });

  it('say which one there is not', async () => {
    for (const call of [pools.get(pool), pools.pause(pool), pools.queues(pool), pools.createQueue(pool, 'a')]) {
      await expect(call).rejects.toMatchObject({ code: 'WORK_POOL_NOT_FOUND', workPool: pool });
    }
    await pools.create(pool);
    for (const call of [pools.getQueue(pool, 'a'), pools.pauseQueue(pool, 'a')]) {
      await expect(call).rejects.toMatchObject({ code: 'WORK_QUEUE_NOT_FOUND', workQueue: 'a' });
    }
    expect(await pools.deleteQueue(pool, 'a')).toBe(false);
  });

  describe('have queues', () => {
    beforeEach(() => pools.create(pool));

    it('of which one is there from the start and stays [W02]', async () => {
      expect(await pools.queues(pool)).toMatchObject([{ name: 'default', priority: 1, status: 'NOT_READY' }]);
      await expect(pools.deleteQueue(pool, 'default')).rejects.toMatchObject({ code: 'DEFAULT_WORK_QUEUE' });
      expect(await queueNames()).toEqual(['default']);
    });

    it('that are made where somebody names one, once [W02]', async () => {
      const ids = await Promise.all(Array.from({ length: 5 }, () => pools.queueIdFor(pool, 'high')));
      expect(new Set(ids).size).toBe(1);
      expect(await pools.queueIdFor(pool)).toBe(await pools.queueIdFor(pool, 'default'));
      expect(await queueNames()).toEqual(['default', 'high']);
    });

    it('in an order without gaps: who comes in between moves the others on [W03]', async () => {
      await pools.createQueue(pool, 'a');
      await pools.createQueue(pool, 'b', { priority: 1 });
      expect(await queueNames()).toEqual(['b', 'default', 'a']);
      await pools.createQueue(pool, 'c', { priority: 99 });
      expect(await queueNames()).toEqual(['b', 'default', 'a', 'c']);
      await pools.updateQueue(pool, 'c', { priority: 2 });
      expect(await queueNames()).toEqual(['b', 'c', 'default', 'a']);
      await pools.updateQueue(pool, 'b', { priority: 4 });
      expect(await queueNames()).toEqual(['c', 'default', 'a', 'b']);
      await pools.deleteQueue(pool, 'a');
      expect((await pools.queues(pool)).map(({ name, priority }) => [name, priority])).toEqual([
        ['c', 1],
        ['default', 2],
        ['b', 3],
      ]);
    });

    it('in an order without gaps, also when several are made, moved and removed at once [W03]', async () => {
      const names = Array.from({ length: 8 }, (_, index) => `q${index}`);
      await Promise.all(names.map((name) => pools.createQueue(pool, name, { priority: 1 })));
      await Promise.all([
        ...names.slice(0, 4).map((name) => pools.deleteQueue(pool, name)),
        ...names.slice(4).map((name, index) => pools.updateQueue(pool, name, { priority: index + 1 })),
      ]);
      expect((await pools.queues(pool)).map(({ priority }) => priority)).toEqual([1, 2, 3, 4, 5]);
    });

    it('that are paused and resumed by themselves', async () => {
      const { id } = await pools.createQueue(pool, 'a');
      expect(await pools.pauseQueue(pool, 'a')).toMatchObject({ isPaused: true, status: 'PAUSED' });
      expect(await pools.getQueue(pool, 'default')).toMatchObject({ isPaused: false, status: 'NOT_READY' });
      expect(await pools.resumeQueue(pool, 'a')).toMatchObject({ isPaused: false, status: 'NOT_READY' });
      expect(await eventsOf(id)).toEqual(expect.arrayContaining(['prefect.work-queue.paused']));
    });

    it('and none twice', async () => {
      await pools.createQueue(pool, 'a');
      await expect(pools.createQueue(pool, 'a')).rejects.toMatchObject({ code: 'WORK_QUEUE_EXISTS' });
      await expect(pools.createQueue(pool, 'b', { priority: 0 })).rejects.toMatchObject({ code: 'INVALID_WORK_POOL' });
      expect(await queueNames()).toEqual(['default', 'a']);
    });
  });

  it('tell job variables that do not fit their template [D04]', async () => {
    const properties = { cpu: { type: 'number', default: 1 }, image: { type: 'string' } };
    await pools.create(pool, { baseJobTemplate: { variables: { type: 'object', properties, required: ['image'] } } });
    await pools.checkJobVariables(pool, { cpu: 2 });
    await pools.checkJobVariables(pool, { cpu: 2 }, { image: 'app' });
    await expect(pools.checkJobVariables(pool, { cpu: 'two' })).rejects.toMatchObject({
      code: 'INVALID_JOB_VARIABLES',
      problems: [{ path: 'cpu', problem: 'must be a number' }],
    });
    await expect(pools.checkJobVariables(pool, null, null)).rejects.toMatchObject({
      problems: [{ path: 'image', problem: 'must be given' }],
    });
  });
});
