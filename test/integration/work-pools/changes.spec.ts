import { WorkPools, type PoolSettings } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Relay } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { LastingBoxWorker } from './support/lasting-box.worker.js';

/** Far less than the pause after which a worker looks by itself. */
const AT_ONCE_MS = 3_000;

describe('a worker whose pool is changed', () => {
  let database: TestDatabase;
  let relay: Relay;
  let boxes: LastingBoxWorker;
  let elsewhere: WorkPools;
  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
    boxes = new LastingBoxWorker();
    await relay.start('worker', undefined, {
      worker: { pools: [{ name: 'boxes', type: 'lasting-box', queues: ['default', 'mine'] }] },
      providers: [
        { provide: Stage, useFactory: () => new Stage() },
        { provide: LastingBoxWorker, useValue: boxes },
      ],
    });
    elsewhere = (await relay.start('elsewhere', undefined, { worker: false })).get(WorkPools);
    await waitFor(() => boxes.heard.at(-1)?.queues.length === 2, 15_000);
  });
  afterAll(async () => {
    await relay.close();
    await database.drop();
  });

  const hears = (what: (settings: PoolSettings) => boolean, withinMs: number): Promise<unknown> =>
    waitFor(() => boxes.heard.at(-1) && what(boxes.heard.at(-1)!), withinMs);
  const queue = ({ queues }: PoolSettings, name: string) => queues.find((one) => one.name === name);

  it.each<[string, () => Promise<unknown>, (settings: PoolSettings) => boolean]>([
    ['the pool is paused', () => elsewhere.pause('boxes'), ({ pool }) => pool.isPaused],
    ['the pool goes on', () => elsewhere.resume('boxes'), ({ pool }) => !pool.isPaused],
    [
      'the pool gets a limit',
      () => elsewhere.update('boxes', { concurrencyLimit: 7 }),
      ({ pool }) => pool.concurrencyLimit === 7,
    ],
    [
      'the pool gets another job template',
      () => elsewhere.update('boxes', { baseJobTemplate: { job_configuration: { image: 'app:2' } } }),
      ({ pool }) => pool.baseJobTemplate.job_configuration?.image === 'app:2',
    ],
    ['a queue is paused', () => elsewhere.pauseQueue('boxes', 'mine'), (settings) => queue(settings, 'mine')!.isPaused],
    [
      'a queue gets a limit',
      () => elsewhere.updateQueue('boxes', 'mine', { concurrencyLimit: 0 }),
      (settings) => queue(settings, 'mine')!.concurrencyLimit === 0,
    ],
    ['a queue is gone', () => elsewhere.deleteQueue('boxes', 'mine'), (settings) => !queue(settings, 'mine')],
  ])('hears at once that %s [W18]', async (_, change, isSo) => {
    expect(isSo(boxes.heard.at(-1)!)).toBe(false);
    await change();
    await hears(isSo, AT_ONCE_MS);
  });

  it('hears nothing of queues that it does not serve, nor of who is there', async () => {
    const heard = boxes.heard.length;
    await elsewhere.createQueue('boxes', 'theirs');
    await sql(
      database,
      `update nestor.work_queue set last_polled = now(), status = 'NOT_READY' where name = 'default'`,
    );
    await elsewhere.update('boxes', { description: 'last' });
    await hears(({ pool }) => pool.description === 'last', AT_ONCE_MS);
    expect(boxes.heard).toHaveLength(heard + 1);
  });

  it('finds out by looking where nobody tells it, and says so to people [W18]', async () => {
    await sql(database, `update nestor.work_pool set is_paused = true where name = 'boxes'`);
    await hears(({ pool }) => pool.isPaused, 20_000);
    expect(relay.messages).toContainEqual('Work pool "boxes" was changed: it is paused.');
  }, 30_000);
});
