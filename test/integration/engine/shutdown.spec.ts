import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  currentRun,
  EngineStoppingError,
  Flow,
  Flows,
  RunCrashedError,
  RunEndedError,
  Task,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp, type TestAppOptions } from '../../support/app.js';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Stage {
  body: () => Promise<unknown> = async () => undefined;
  taskBody: () => Promise<unknown> = async () => undefined;

  @Flow()
  async play(): Promise<unknown> {
    return this.body();
  }

  @Flow({ retries: 1, retryDelay: '1h' })
  async playLater(): Promise<unknown> {
    throw new Error('not now');
  }

  @Task()
  async act(): Promise<unknown> {
    return this.taskBody();
  }
}

describe('app.close()', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let stage: Stage;
  let gate: Gate;

  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(() => (gate = new Gate()));
  afterEach(async () => {
    gate.open();
    await app.close();
  });

  const start = async (options: Partial<TestAppOptions> = {}): Promise<void> => {
    app = await startApp({ url: database.url, providers: [Stage], drain: '5s', ...options });
    stage = app.get(Stage);
  };
  const settled = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);
  const elapsedOf = async (work: Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work;
    return performance.now() - began;
  };

  it('waits for what runs, which may go on with its tasks', async () => {
    await start();
    stage.body = async () => {
      await gate.pass();
      await stage.act();
      return 'done in peace';
    };
    const calling = stage.play();
    await gate.reached;
    const closing = app.close();
    await waitFor(async () => (await settled(stage.act())) instanceof EngineStoppingError);
    gate.open();
    expect(await calling).toBe('done in peace');
    await closing;
    expect(await illegalHistories(database)).toEqual([]);
  });

  it('waits no longer than for what runs', async () => {
    await start({ drain: '20s' });
    await stage.play();
    expect(await elapsedOf(app.close())).toBeLessThan(5_000);
  });

  it('refuses calls from outside any run, and says why', async () => {
    await start();
    stage.body = () => gate.pass();
    const calling = stage.play();
    await gate.reached;
    const closing = app.close();
    const refused = await waitFor(async () => {
      const outcome = await settled(stage.act());
      return outcome instanceof EngineStoppingError && outcome;
    });
    expect(refused).toMatchObject({ code: 'ENGINE_STOPPING', place: 'Stage.act' });
    expect(await settled(app.get(Flows).start(Stage, 'play'))).toBeInstanceOf(EngineStoppingError);
    gate.open();
    await Promise.all([calling, closing]);
  });

  it('cuts off what runs longer than the drain and records it as CRASHED', async () => {
    await start({ drain: '50ms' });
    let id = '';
    let signal: AbortSignal | undefined;
    stage.taskBody = () => gate.pass();
    stage.body = async () => {
      id = currentRun().flowRunId!;
      ({ signal } = currentRun());
      await stage.act();
    };
    const calling = settled(stage.play());
    await gate.reached;
    expect(await elapsedOf(app.close())).toBeLessThan(5_000);

    const failure = await calling;
    expect(failure).toBeInstanceOf(RunCrashedError);
    expect(failure).toMatchObject({
      code: 'RUN_CRASHED',
      message: expect.stringContaining('the application shut down'),
    });
    expect(signal!.reason).toBeInstanceOf(RunEndedError);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Crashed']);
    expect(await taskRunsOf(database, id)).toMatchObject([{ state_type: 'CANCELLED' }]);
    expect(await illegalHistories(database)).toEqual([]);
  });

  it('cuts off what waits for its retry', async () => {
    await start({ drain: '20ms' });
    const { id } = await app.get(Flows).start(Stage, 'playLater');
    await waitFor(async () => (await stateNames(database, id)).includes('AwaitingRetry'));
    expect(await elapsedOf(app.close())).toBeLessThan(5_000);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingRetry', 'Crashed']);
  });

  it('lets late code of what was cut off start nothing', async () => {
    await start({ drain: '20ms' });
    let late: unknown;
    stage.body = async () => {
      await gate.pass();
      late = await settled(stage.act());
      currentRun().logger.log('still here');
    };
    const calling = settled(stage.play());
    await gate.reached;
    await app.close();
    gate.open();
    await calling;
    await waitFor(() => late);
    expect(late).toBeInstanceOf(RunEndedError);
  });

  it('loses no run that was started while it began', async () => {
    await start();
    const starting = Array.from({ length: 20 }, () => app.get(Flows).start(Stage, 'play'));
    const closing = app.close();
    const handles = await Promise.allSettled(starting);
    await closing;
    const rows = await sql<{ id: string; state_type: string }>(
      database,
      'select id, state_type from nestor.flow_run where id = any($1)',
      [handles.flatMap((handle) => (handle.status === 'fulfilled' ? [handle.value.id] : []))],
    );
    expect(rows.map(({ state_type }) => state_type)).toEqual(rows.map(() => 'COMPLETED'));
    expect(rows).toHaveLength(20);
  });

  it('leaves no connection', async () => {
    await start({ app: 'closing' });
    await Promise.all([stage.play(), stage.play(), stage.play()]);
    await app.close();
    await waitFor(async () => {
      const rows = await sql(database, `select 1 from pg_stat_activity where application_name = 'nestor:closing'`);
      return rows.length === 0;
    });
  });

  describe('when the database is gone', () => {
    let proxy: DatabaseProxy;
    beforeEach(async () => {
      proxy = await DatabaseProxy.start(database);
      await start({ url: proxy.url, drain: '50ms', logger: new RecordingLogger() });
    });
    afterEach(() => proxy.close());

    it.each<[string, () => void]>([
      ['refuses connections', () => proxy.cut()],
      ['never answers', () => proxy.freeze()],
    ])('resolves all the same within the drain and some ten seconds: it %s', async (_, leave) => {
      stage.body = () => gate.pass();
      const calling = settled(stage.play());
      await gate.reached;
      leave();
      expect(await elapsedOf(app.close())).toBeLessThan(12_000);
      expect(await calling).toBeInstanceOf(Error);
    });

    it.each<[string, () => void]>([
      ['refuses connections', () => proxy.cut()],
      ['never answers', () => proxy.freeze()],
    ])('resolves just as soon when many lines wait to be written: it %s', async (_, leave) => {
      stage.body = async () => {
        const { logger } = currentRun();
        leave();
        for (let line = 0; line < 3_000; line += 1) logger.debug(`line ${line}`);
        await gate.pass();
      };
      const calling = settled(stage.play());
      await gate.reached;
      expect(await elapsedOf(app.close())).toBeLessThan(12_000);
      expect(await calling).toBeInstanceOf(Error);
    });

    it('resolves when nothing runs', async () => {
      await stage.play();
      proxy.cut();
      expect(await elapsedOf(app.close())).toBeLessThan(12_000);
    });
  });
});
