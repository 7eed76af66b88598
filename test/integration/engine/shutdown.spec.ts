import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, EngineStoppingError, Flow, Flows, FlowRuns, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { FlowRunClaimsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { RunHandedBackError } from '../../../libs/orchestrator/src/runtime/engine/engine-errors.js';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { startApp, type TestAppOptions } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
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

@Injectable()
class Elsewhere {
  @Flow()
  async playElsewhere(): Promise<void> {}
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

  /** The row of a flow run. */
  const flowRun = async (id: string): Promise<Record<string, unknown> | undefined> =>
    (await sql(database, 'select * from nestor.flow_run where id = $1', [id]))[0];

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

  it('hands back what runs longer than the drain, with its tasks as they are [F19]', async () => {
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
    expect(failure).toBeInstanceOf(RunHandedBackError);
    expect(failure).toMatchObject({
      code: 'RUN_HANDED_BACK',
      flowRunId: id,
      message: expect.stringContaining('The application shut down before'),
    });
    expect(signal!.reason).toBeInstanceOf(RunHandedBackError);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingResume']);
    expect(await flowRun(id)).toMatchObject({
      state_type: 'SCHEDULED',
      process_id: null,
      lease_epoch: 1,
      run_count: 1,
    });
    expect(await taskRunsOf(database, id)).toMatchObject([{ state_type: 'RUNNING' }]);
    expect(await illegalHistories(database)).toEqual([]);
  });

  it('hands back what keeps its place before all that came after it', async () => {
    const line = { app: 'in-line', worker: { limit: 1 } };
    await start({ ...line, drain: '20ms' });
    stage.body = () => gate.pass();
    const first = await app.get(Flows).enqueue(Stage, 'play');
    await gate.reached;
    const second = await app.get(Flows).enqueue(Stage, 'play');
    await app.close();

    const played: (string | null)[] = [];
    const body = async (): Promise<unknown> => played.push(currentRun().flowRunId);
    await start({ ...line, providers: [{ provide: Stage, useFactory: () => Object.assign(new Stage(), { body }) }] });
    await app.get(FlowRuns).result(second.id);
    expect(played).toEqual([first.id, second.id]);
  });

  it('hands back what waits for its retry, as it waits', async () => {
    await start({ drain: '20ms' });
    const { id } = await app.get(Flows).start(Stage, 'playLater');
    await waitFor(async () => (await stateNames(database, id)).includes('AwaitingRetry'));
    expect(await elapsedOf(app.close())).toBeLessThan(5_000);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingRetry']);
    expect(await flowRun(id)).toMatchObject({ process_id: null, lease_epoch: 1 });
  });

  it('lets late code of what was handed back start nothing', async () => {
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
    expect(late).toBeInstanceOf(RunHandedBackError);
  });

  describe('hands a run back that', () => {
    /** Another process of the same application, such as the next release of it. */
    const successor = (name: string): Promise<INestApplicationContext> =>
      startApp({ url: database.url, providers: [Stage], app: name });

    it('goes on in the next process: what it has completed is not done again, what had begun is', async () => {
      await start({ drain: '20ms', app: 'relay' });
      let id = '';
      const bodies: string[] = [];
      const play = async (on: Stage): Promise<unknown> => {
        id = currentRun().flowRunId!;
        const first = await on.act();
        const second = await on.act();
        return [first, second, currentRun().attempt];
      };
      let calls = 0;
      stage.taskBody = async () => {
        bodies.push('before');
        if (++calls === 2) await gate.pass();
        return 'before';
      };
      stage.body = () => play(stage);
      const calling = settled(stage.play());
      await gate.reached;
      await app.close();
      expect(await calling).toBeInstanceOf(RunHandedBackError);

      const next = await successor('relay');
      try {
        const stageThere = next.get(Stage);
        stageThere.taskBody = async () => (bodies.push('after'), 'after');
        stageThere.body = () => play(stageThere);
        expect(await next.get(FlowRuns).result(id, { timeout: '10s' })).toEqual(['before', 'after', 1]);
        expect(bodies).toEqual(['before', 'before', 'after']);
        expect(await stateNames(database, id)).toEqual([
          ...['Pending', 'Running', 'AwaitingResume', 'Running', 'Completed'],
        ]);
        const [first, second] = await taskRunsOf(database, id);
        expect(await stateNames(database, first!.id)).toEqual(['Pending', 'Running', 'Completed']);
        expect(await stateNames(database, second!.id)).toEqual(['Pending', 'Running', 'Rerunning', 'Completed']);
        expect(second).toMatchObject({ run_count: 1 });
        expect(await taskRunsOf(database, id)).toHaveLength(2);
        expect(await flowRun(id)).toMatchObject({
          process_id: null,
          run_count: 1,
          empirical_policy: { recoveries: 0 },
        });
        expect(await illegalHistories(database)).toEqual([]);
      } finally {
        await next.close();
      }
    });

    it('is left alone by other applications, and by processes without its flow', async () => {
      await start({ drain: '20ms', app: 'one-app' });
      let id = '';
      stage.body = async () => {
        id = currentRun().flowRunId!;
        await gate.pass();
      };
      void settled(stage.play());
      await gate.reached;
      await app.close();
      // A round of its own claims that was under way may have taken it, and let go of it again.
      const epoch = (await flowRun(id))?.lease_epoch;

      const others = await Promise.all([
        startApp({ url: database.url, providers: [Stage], app: 'other-app' }),
        startApp({ url: database.url, providers: [Elsewhere], app: 'one-app' }),
      ]);
      try {
        for (const other of others) {
          const claiming = jest.spyOn(other.get(FlowRunClaimsRepository), 'claimFree');
          other.get(RunClaimer).wake();
          await waitFor(() => claiming.mock.results.length > 0);
          expect(await claiming.mock.results[0]!.value).toEqual([]);
        }
        expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingResume']);
        expect(await flowRun(id)).toMatchObject({ process_id: null, lease_epoch: epoch });
      } finally {
        await Promise.all(others.map((other) => other.close()));
      }
    });
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

  it('takes itself off the list of processes', async () => {
    await start({ app: 'leaving' });
    expect(await sql(database, `select from nestor.process where app = 'leaving'`)).toHaveLength(1);
    await stage.play();
    await app.close();
    expect(await sql(database, `select from nestor.process where app = 'leaving'`)).toEqual([]);
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
});
