import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, Flow, FlowRuns, NoCurrentRunError, Task, type CurrentRun } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Stage {
  body: () => Promise<unknown> = async () => undefined;
  taskBody: () => Promise<unknown> = async () => undefined;

  @Flow({ name: 'the play' })
  async play(): Promise<unknown> {
    return this.body();
  }

  @Task()
  async act(): Promise<unknown> {
    return this.taskBody();
  }

  @Task()
  async actAround(): Promise<unknown> {
    return this.act();
  }
}

describe('within a run', () => {
  let database: TestDatabase;
  let proxy: DatabaseProxy;
  let app: INestApplicationContext;
  let stage: Stage;
  const logger = new RecordingLogger();

  beforeAll(async () => {
    database = await testDatabase();
    proxy = await DatabaseProxy.start(database);
    app = await startApp({ url: proxy.url, providers: [Stage], logger });
    stage = app.get(Stage);
  });
  afterAll(async () => {
    await app.close();
    proxy.close();
    await database.drop();
  });
  beforeEach(() => {
    logger.lines.length = 0;
    stage.taskBody = async () => undefined;
  });

  /** Plays `body`; gives what it returned and the run it was. */
  const play = async <T>(body: () => Promise<T>): Promise<{ value: T; run: CurrentRun }> => {
    let run: CurrentRun | undefined;
    stage.body = () => {
      run = currentRun();
      return body();
    };
    return { value: (await stage.play()) as T, run: run! };
  };

  type Line = Awaited<ReturnType<FlowRuns['logsOf']>>[number];
  /** The lines of a run, once there are `count` of them: they are written a moment after they were logged. */
  const linesOf = (run: CurrentRun, count: number): Promise<Line[]> =>
    waitFor(async () => {
      const lines = await app.get(FlowRuns).logsOf(run.flowRunId!);
      return lines.length >= count && lines;
    });

  describe('log lines', () => {
    it('are kept with their levels, in their order, by flow run and task run [H14]', async () => {
      let taskRunId: string | null = null;
      stage.taskBody = async () => {
        ({ taskRunId } = currentRun());
        currentRun().logger.warn('in the task');
      };
      const { run } = await play(async () => {
        const { logger: log } = currentRun();
        log.debug('one');
        log.log('two');
        await stage.act();
        log.error('three');
        log.fatal('four');
      });
      const lines = await linesOf(run, 5);
      expect(lines).toMatchObject([
        { level: 10, message: 'one', taskRunId: null, name: run.flowRunName },
        { level: 20, message: 'two', taskRunId: null },
        { level: 30, message: 'in the task', taskRunId, name: expect.stringMatching(/^act-/) },
        { level: 40, message: 'three', taskRunId: null },
        { level: 50, message: 'four', taskRunId: null },
      ]);
      const times = lines.map(({ timestamp }) => timestamp);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    });

    it('keep their order however many there are in a moment', async () => {
      const { run } = await play(async () => {
        for (let n = 0; n < 900; n += 1) currentRun().logger.log(`line ${n}`);
      });
      const lines = await linesOf(run, 900);
      expect(lines.map(({ message }) => message)).toEqual(Array.from({ length: 900 }, (_, n) => `line ${n}`));
    });

    it('tell of every attempt that failed, with its stack', async () => {
      const { run } = await play(async () => {
        stage.taskBody = () => Promise.reject(new TypeError('not a card'));
        await stage.act().catch(() => undefined);
      });
      const [line] = await linesOf(run, 1);
      expect(line).toMatchObject({ level: 40, taskRunId: expect.any(String) });
      expect(line!.message).toMatch(/^The attempt failed\. TypeError: not a card\n\s+at /);
    });

    it('are passed on to the logger of the application, by their level', async () => {
      const { run } = await play(async () => {
        const { logger: log } = currentRun();
        log.debug('d');
        log.log('l');
        log.warn('w');
        log.error('e');
        log.fatal('f');
      });
      const passedOn = logger.lines.filter(({ context }) => context === 'Run');
      expect(passedOn.map(({ level, message }) => [level, message])).toEqual(
        (['debug', 'log', 'warn', 'error', 'error'] as const).map((level, n) => [
          level,
          `${run.flowRunName}: ${'dlwef'[n]}`,
        ]),
      );
    });

    it('may hold NUL, which the database does not', async () => {
      const { run } = await play(async () => currentRun().logger.log('before\0after'));
      expect((await linesOf(run, 1))[0]!.message).toBe('before\\0after');
    });

    it('are cut when they are oversized [H14]', async () => {
      const { run } = await play(async () => currentRun().logger.log('x'.repeat(1_000_001)));
      expect((await linesOf(run, 1))[0]!.message).toBe(`${'x'.repeat(1_000_000)}… (cut)`);
    });

    it('wait for a database that is away', async () => {
      const { run } = await play(async () => currentRun().logger.log('at the door'));
      proxy.cut();
      await waitFor(() => logger.lines.length > 0);
      await proxy.restore();
      const lines = await waitFor(async () => {
        const rows = await sql(database, 'select message from nestor.log where flow_run_id = $1', [run.flowRunId]);
        return rows.length > 0 && rows;
      });
      expect(lines).toEqual([{ message: 'at the door' }]);
    });

    it('are written before the application is closed', async () => {
      const other = await startApp({ url: database.url, providers: [Stage] });
      const otherStage = other.get(Stage);
      let id = '';
      otherStage.body = async () => {
        id = currentRun().flowRunId!;
        currentRun().logger.log('the last word');
      };
      await otherStage.play();
      await other.close();
      expect(await sql(database, 'select message from nestor.log where flow_run_id = $1', [id])).toEqual([
        { message: 'the last word' },
      ]);
    });
  });

  describe('currentRun()', () => {
    it('is the flow run in the body of a flow, across timers and promises', async () => {
      const { value, run } = await play(async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return [currentRun()].map(({ flowRunId, flowName, taskRunId, taskRunName, attempt }) => ({
          ...{ flowRunId, flowName, taskRunId, taskRunName, attempt },
        }))[0];
      });
      expect(value).toEqual({
        flowRunId: run.flowRunId,
        flowName: 'the play',
        taskRunId: null,
        taskRunName: null,
        attempt: 1,
      });
      expect(await app.get(FlowRuns).get(run.flowRunId!)).toMatchObject({
        name: run.flowRunName,
        flowName: 'the play',
      });
    });

    it('is the innermost task run in a task, and the flow run again after it', async () => {
      const seen: (string | null)[] = [];
      stage.taskBody = async () => {
        seen.push(currentRun().taskRunName);
        return currentRun().flowRunId;
      };
      const { value, run } = await play(async () => {
        const flowRunId = await stage.actAround();
        seen.push(currentRun().taskRunName);
        return flowRunId;
      });
      expect(value).toBe(run.flowRunId);
      expect(seen).toEqual([expect.stringMatching(/^act-/), null]);
    });

    it('is each its own in parallel runs', async () => {
      stage.body = async () => {
        const before = currentRun().flowRunId;
        await stage.act();
        return before === currentRun().flowRunId && before;
      };
      const ids = await Promise.all([stage.play(), stage.play(), stage.play()]);
      expect(new Set(ids).size).toBe(3);
      expect(ids).not.toContain(false);
    });

    it('has a signal that fires when the attempt is over', async () => {
      const { run } = await play(async () => expect(currentRun().signal.aborted).toBe(false));
      expect(run.signal.aborted).toBe(true);
    });

    it('is an error outside any run, which says where it works', () => {
      expect(() => currentRun()).toThrow(NoCurrentRunError);
      expect(() => currentRun()).toThrow(/works inside methods decorated with @Flow\(\) or @Task\(\)/);
    });
  });
});
