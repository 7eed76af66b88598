import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Deployments, Flow, FlowRuns, type DeploymentView } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp, type TestAppOptions } from '../../support/app.js';
import { CompiledProgram } from '../../support/compiled-program.js';
import { testDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait-for.js';
import { MortalProcess } from '../replay/support/mortal-process.js';
import type { ServingOrder } from './support/serving-program.js';
import { waitingRunsOf } from './support/deployed.js';

/** The same flow as that of the program, with a deployment besides that waits in a pool. */
@Injectable()
class Served {
  @Flow({
    name: 'served',
    deployments: [
      { name: 'hourly', schedules: [{ interval: '1h' }] },
      { name: 'pooled', workPool: 'pool', schedules: [{ interval: '1h' }] },
      { name: 'off', paused: true, schedules: [{ interval: '1h' }] },
    ],
  })
  async served(): Promise<void> {}
}

/** The same with all of it in the pool, as a later release has it. */
@Injectable()
class Pooled {
  @Flow({
    name: 'served',
    deployments: [
      { name: 'hourly', workPool: 'pool', schedules: [{ interval: '1h' }] },
      { name: 'off', workPool: 'pool', schedules: [{ interval: '1h' }] },
    ],
  })
  async served(): Promise<void> {}
}

/** A process of the same application that has none of its flows. */
@Injectable()
class Stranger {}

const app = 'serving';

describe('deployments whose processes pause them when they shut down', () => {
  let database: TestDatabase;
  let watcher: INestApplicationContext;
  const apps: INestApplicationContext[] = [];
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    watcher = await startApp({ url: database.url, app, providers: [Stranger] });
  });
  afterEach(async () => {
    await Promise.all([...apps.splice(0), watcher].map((one) => one.close()));
  });

  const start = async (options: Partial<TestAppOptions> = {}): Promise<INestApplicationContext> => {
    const pools = { worker: { pools: ['pool'] } };
    const started = await startApp({
      ...{ url: database.url, app, pauseOnShutdown: true, providers: [Served], drain: '10ms' },
      ...pools,
      ...options,
    });
    apps.push(started);
    return started;
  };
  const get = (name: string): Promise<DeploymentView> => watcher.get(Deployments).get(`served/${name}`);
  const runs = async (name: string): Promise<number> => (await waitingRunsOf(database, (await get(name)).id)).length;
  const goesOn = async (name = 'hourly'): Promise<void> => {
    expect(await get(name)).toMatchObject({ paused: false, pausedReason: null });
    await waitFor(async () => (await runs(name)) >= 3);
  };
  const isAway = async (name = 'hourly'): Promise<void> => {
    expect(await get(name)).toMatchObject({ paused: true, pausedReason: 'away' });
    expect(await runs(name)).toBe(0);
  };

  it('pause with the last of them, and go on with the next one [R02]', async () => {
    const [first, second] = [await start(), await start()];
    await goesOn();
    await first.close();
    await goesOn();
    await second.close();
    await isAway();
    await goesOn('pooled'); // whoever serves the pool takes those
    expect(await get('off')).toMatchObject({ paused: true, pausedReason: 'asked' });

    await start();
    await goesOn();
    expect(await get('off')).toMatchObject({ paused: true, pausedReason: 'asked' });
  });

  it('pause when all of them leave at the same moment [R02]', async () => {
    const all = await Promise.all([start(), start(), start()]);
    await goesOn();
    await Promise.all(all.map((one) => one.close()));
    await isAway();
  });

  it('go on when one starts while the last one leaves', async () => {
    for (let round = 0; round < 3; round += 1) {
      const last = await start();
      await goesOn();
      const [next] = await Promise.all([start(), last.close()]);
      await goesOn();
      await next.close();
      await isAway();
    }
  }, 30_000);

  it('stay as people want them: one that was paused by hand stays so, and one that was resumed goes on', async () => {
    const first = await start();
    await goesOn();
    await first.get(Deployments).pause('served/hourly');
    await first.close();
    const second = await start();
    expect(await get('hourly')).toMatchObject({ paused: true, pausedReason: 'asked' });
    await second.get(Deployments).resume('served/hourly');
    await second.close();
    await isAway();
    await watcher.get(Deployments).resume('served/hourly');
    expect(await get('hourly')).toMatchObject({ paused: false, pausedReason: null });
    const run = await watcher.get(Deployments).run('served/hourly');
    await start();
    await watcher.get(FlowRuns).result(run.id, { timeout: '10s' });
  });

  it('go on as they are where nobody has asked for that', async () => {
    const only = await start({ pauseOnShutdown: false });
    await goesOn();
    await only.close();
    await goesOn();
  });

  it('go on when they come into a pool, whether or not the process takes runs of none', async () => {
    for (const unqueued of [false, true]) {
      const last = await start();
      await goesOn();
      await last.close();
      await isAway();
      const next = await start({ providers: [Pooled], worker: { pools: ['pool'], unqueued } });
      await goesOn();
      expect(await get('hourly')).toMatchObject({ workPoolName: 'pool' });
      expect(await get('off')).toMatchObject({ paused: true, pausedReason: 'asked' });
      await next.close();
      await goesOn();
    }
  });

  it('are not served by who only makes runs of them', async () => {
    await start({ worker: false });
    const only = await start();
    await goesOn();
    await only.close();
    await isAway();
  });

  describe('of a process of the operating system', () => {
    let program: CompiledProgram;
    beforeAll(() => void (program = new CompiledProgram('test/integration/deployments/support/serving-program.ts')));
    afterAll(() => program.remove());

    it('pause when it is told to end, go on when it starts again, and do not pause when it is killed [R02]', async () => {
      const order: ServingOrder = { url: database.url, app };
      const told = MortalProcess.start<ServingOrder>(program, order);
      await told.waiting();
      await goesOn();
      process.kill(told.pid, 'SIGTERM');
      await told.exited;
      await isAway();

      const killed = MortalProcess.start<ServingOrder>(program, order);
      await killed.waiting();
      await goesOn();
      await killed.kill();
      await goesOn();
    }, 60_000);
  });
});
