import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  combined,
  currentRun,
  DEFAULT_CACHE_POLICY,
  excluding,
  Flow,
  FLOW_PARAMETERS,
  FlowRuns,
  Flows,
  INPUTS,
  MissingResultError,
  NO_CACHE,
  PausedRunError,
  Results,
  RunControl,
  RUN_ID,
  Task,
  TASK_SOURCE,
  UnfinishedRunError,
  withOptions,
  type CachePolicy,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Housekeeping } from '../../../libs/orchestrator/src/runtime/maintenance/housekeeping.service.js';
import { startApp, type TestAppOptions } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf, type StoredTaskRun } from '../../support/history.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Lab {
  calls = 0;
  body: (params: unknown) => Promise<unknown> = async () => undefined;
  before: () => Promise<void> = async () => undefined;

  @Flow({ name: 'lab' })
  async run(params: Record<string, unknown> = {}): Promise<unknown> {
    return this.body(params);
  }

  @Flow({ name: 'secret lab', persistResult: false })
  async runInSecret(): Promise<string> {
    await this.plain('a');
    return 'secret';
  }

  @Task()
  async plain(value: unknown): Promise<number> {
    return this.count(value);
  }

  @Task({ cachePolicy: INPUTS })
  async byInputs(value: unknown): Promise<number> {
    return this.count(value);
  }

  @Task({ cachePolicy: INPUTS, cacheExpiration: '40ms' })
  async shortly(value: unknown): Promise<number> {
    return this.count(value);
  }

  @Task({ cachePolicy: INPUTS, cacheIsolation: 'serializable' })
  async oneAtATime(value: unknown): Promise<number> {
    await this.before();
    return this.count(value);
  }

  @Task<Lab['byKey']>({ cacheKey: (value) => (value === 'never' ? null : 'always the same') })
  async byKey(value: string): Promise<number> {
    return this.count(value);
  }

  @Task({ resultKey: 'report-{day}' })
  async report({ day }: { day: string }): Promise<{ day: string; number: number }> {
    return { day, number: this.count(day) };
  }

  @Task({ cachePolicy: INPUTS })
  async failing(value: unknown): Promise<number> {
    this.count(value);
    throw new Error('no');
  }

  private count(_: unknown): number {
    this.calls += 1;
    return this.calls;
  }
}

describe('outcomes that are remembered', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let lab: Lab;
  const apps: INestApplicationContext[] = [];
  const logger = new RecordingLogger();

  const start = async (options: Partial<TestAppOptions> = {}): Promise<INestApplicationContext> => {
    const started = await startApp({ url: database.url, providers: [Lab], logger, app: 'lab', ...options });
    apps.push(started);
    return started;
  };

  beforeAll(async () => {
    database = await testDatabase();
    app = await start();
    lab = app.get(Lab);
  });
  beforeEach(async () => {
    lab.calls = 0;
    lab.before = async () => undefined;
    await sql(database, 'delete from nestor.task_cache');
  });
  afterAll(async () => {
    await Promise.all(apps.map((each) => each.close()));
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const play = async <T>(
    body: (params: unknown) => Promise<T>,
    params: Record<string, unknown> = {},
  ): Promise<{ value: T; id: string; tasks: StoredTaskRun[] }> => {
    let id = '';
    lab.body = (given) => {
      id = currentRun().flowRunId!;
      return body(given);
    };
    const value = (await lab.run(params)) as T;
    return { value, id, tasks: await taskRunsOf(database, id) };
  };
  const twiceBy = (cachePolicy: CachePolicy, one: unknown, other: unknown) => async (): Promise<number[]> => {
    const remembering = withOptions(lab, { cachePolicy });
    return [await remembering.plain(one), await remembering.plain(other)];
  };

  it('end a call as Cached without running it', async () => {
    const { value, tasks } = await play(async () => [await lab.byInputs({ a: 1 }), await lab.byInputs({ a: 1 })]);
    expect(value).toEqual([1, 1]);
    expect(lab.calls).toBe(1);
    expect(tasks.map(({ state_type, state_name }) => [state_type, state_name])).toEqual([
      ['COMPLETED', 'Completed'],
      ['COMPLETED', 'Cached'],
    ]);
    expect(await stateNames(database, tasks[1]!.id)).toEqual(['Pending', 'Running', 'Cached']);
  });

  it.each<[string, CachePolicy, unknown, unknown, number[]]>([
    ['DEFAULT, within a run [C01]', DEFAULT_CACHE_POLICY, 'a', 'a', [1, 1]],
    ['DEFAULT, with other inputs [C01]', DEFAULT_CACHE_POLICY, 'a', 'b', [1, 2]],
    ['INPUTS', INPUTS, { a: 1, b: 2 }, { b: 2, a: 1 }, [1, 1]],
    ['INPUTS without one of them [C02]', excluding(INPUTS, 'b'), { a: 1, b: 2 }, { a: 1, b: 3 }, [1, 1]],
    ['TASK_SOURCE', TASK_SOURCE, 'a', 'b', [1, 1]],
    ['RUN_ID [C04]', RUN_ID, 'a', 'b', [1, 1]],
    ['NO_CACHE [C04]', NO_CACHE, 'a', 'a', [1, 2]],
    ['several at once [C05]', combined(INPUTS, RUN_ID), 'a', 'b', [1, 2]],
  ])('are found by %s', async (_, policy, one, other, expected) => {
    const { value } = await play(twiceBy(policy, one, other));
    expect(value).toEqual(expected);
  });

  it.each<[string, CachePolicy, Record<string, unknown>, number]>([
    ['DEFAULT, but not in another run [C01]', DEFAULT_CACHE_POLICY, { day: 1 }, 2],
    ['INPUTS, in another run', INPUTS, { day: 2 }, 1],
    ['FLOW_PARAMETERS, when they are the same [C04]', FLOW_PARAMETERS, { day: 1 }, 1],
    ['FLOW_PARAMETERS, but not when they differ [C04]', FLOW_PARAMETERS, { day: 2 }, 2],
    ['RUN_ID, but not in another run [C04]', RUN_ID, { day: 1 }, 2],
  ])('are found by %s', async (_, cachePolicy, params, calls) => {
    await play(() => withOptions(lab, { cachePolicy }).plain('a'), { day: 1 });
    await play(() => withOptions(lab, { cachePolicy }).plain('a'), params);
    expect(lab.calls).toBe(calls);
  });

  it('are forgotten with the source of the task [C03]', async () => {
    class Edited extends Lab {
      @Task({ name: 'plain' })
      override async plain(value: unknown): Promise<number> {
        void value;
        return 99;
      }
    }
    Object.defineProperty(Edited, 'name', { value: 'Lab' });
    const cachePolicy = combined(INPUTS, TASK_SOURCE);
    await withOptions(lab, { cachePolicy }).plain('a');
    const other = (await start({ providers: [Edited] })).get(Edited);
    expect(await withOptions(other, { cachePolicy }).plain('a')).toBe(99);
    expect(await withOptions(lab, { cachePolicy }).plain('a')).toBe(1);
  });

  it('are found by the key that a function gives; null means not at all [C06]', async () => {
    expect([await lab.byKey('a'), await lab.byKey('b')]).toEqual([1, 1]);
    expect([await lab.byKey('never'), await lab.byKey('never')]).toEqual([2, 3]);
  });

  it('are found until they expire [C07]', async () => {
    expect([await lab.shortly('a'), await lab.shortly('a')]).toEqual([1, 1]);
    await waitFor(async () => (await lab.shortly('a')) === 2);
  });

  it('are deleted some time after they have expired', async () => {
    await lab.shortly('a');
    await lab.byInputs('a');
    await waitFor(async () => {
      await app.get(Housekeeping).clean();
      return (await sql(database, 'select 1 from nestor.task_cache')).length === 1;
    });
  });

  it('are made anew and replaced when that is asked for: by the call, or for the application [C08]', async () => {
    await lab.byInputs('a');
    expect(await withOptions(lab, { refreshCache: true }).byInputs('a')).toBe(2);
    expect(await lab.byInputs('a')).toBe(2);
    const refreshing = (await start({ cache: { refresh: true } })).get(Lab);
    refreshing.calls = 10;
    expect(await refreshing.byInputs('a')).toBe(11);
    expect(await lab.byInputs('a')).toBe(11);
    expect(await withOptions(refreshing, { refreshCache: false }).byInputs('a')).toBe(11);
  });

  it('are neither made nor found where remembering is disabled', async () => {
    const forgetful = (await start({ cache: { disabled: true } })).get(Lab);
    expect([await forgetful.byInputs('a'), await forgetful.byInputs('a')]).toEqual([1, 2]);
    expect(await sql(database, 'select 1 from nestor.task_cache')).toEqual([]);
  });

  it.each([{ cacheExpiration: '1h' }, { cacheIsolation: 'serializable' }] as const)(
    'are not changed in part by a call, which is refused: %p',
    (options) => {
      expect(() => withOptions(lab, options)).toThrow(Object.keys(options)[0]);
    },
  );

  it('are no failures', async () => {
    await expect(lab.failing('a')).rejects.toThrow('no');
    await expect(lab.failing('a')).rejects.toThrow('no');
    expect(lab.calls).toBe(2);
  });

  it('are not kept for inputs that cannot be compared, and the log says so', async () => {
    expect([await lab.byInputs(() => 1), await lab.byInputs(() => 1)]).toEqual([1, 2]);
    expect(logger.lines.map(({ message }) => message).join()).toContain('UncacheableInputError');
  });

  it('are made once where calls are serialised, across processes [C09] [C10]', async () => {
    const other = (await start()).get(Lab);
    const gate = new Gate();
    lab.before = other.before = () => gate.pass();
    const calls = [lab.oneAtATime('a'), other.oneAtATime('a'), lab.oneAtATime('a')];
    await gate.reached;
    gate.open();
    expect(await Promise.all(calls)).toEqual([1, 1, 1]);
    expect(lab.calls + other.calls).toBe(1);
    expect(await sql(database, 'select holder_id, process_id from nestor.task_cache')).toEqual([
      { holder_id: null, process_id: null },
    ]);
  });

  it('are made by the next one when the process that was about to is dead [C10]', async () => {
    await sql(
      database,
      `insert into nestor.process (id, app, host, pid, fenced_at) values ($1, 'lab', 'h', 1, now())`,
      ['01938a00-0000-7000-8000-000000000001'],
    );
    await lab.oneAtATime('b');
    await sql(database, `update nestor.task_cache set result = null, holder_id = $1, process_id = $1`, [
      '01938a00-0000-7000-8000-000000000001',
    ]);
    expect(await lab.oneAtATime('b')).toBe(2);
  });

  it('can be looked up and forgotten by the key of a template [C14]', async () => {
    const results = app.get(Results);
    expect(await results.find('report-monday')).toBeUndefined();
    await lab.report({ day: 'monday' });
    expect(await results.find('report-monday')).toEqual({ day: 'monday', number: 1 });
    await results.forget('report-monday');
    expect(await lab.report({ day: 'monday' })).toEqual({ day: 'monday', number: 2 });
  });

  describe('results that are not kept', () => {
    it.each<[string, boolean | undefined, boolean | undefined, boolean | undefined, boolean]>([
      ['by nobody’s word', undefined, undefined, undefined, true],
      ['by the word of the module', false, undefined, undefined, false],
      ['by the word of the flow', false, true, undefined, true],
      ['by the word of the task', true, true, false, false],
      ['by the word of the task against the flow', undefined, false, true, true],
    ])('are kept %s [C11]', async (_, module, flow, task, isKept) => {
      const started = await start(module === undefined ? {} : { persistResults: module });
      const own = started.get(Lab);
      let id = '';
      own.body = async () => {
        id = currentRun().flowRunId!;
        return withOptions(own, task === undefined ? {} : { persistResult: task }).plain('a');
      };
      await withOptions(own, flow === undefined ? {} : { persistResult: flow }).run();
      const [run] = await taskRunsOf(database, id);
      expect(run!.result).toBe(isKept ? 1 : null);
    });

    it('are given to the caller, and missing to whoever looks them up [C16]', async () => {
      expect(await lab.runInSecret()).toBe('secret');
      const handle = await app.get(Flows).start(Lab, 'runInSecret');
      await expect(handle.result()).rejects.toThrow(MissingResultError);
      await expect(app.get(FlowRuns).outcome(handle.id)).rejects.toThrow(MissingResultError);
    });

    it('cannot be remembered besides', () => {
      expect(() => withOptions(lab, { persistResult: false, cachePolicy: INPUTS })).toThrow('persistResult');
    });
  });

  it('of a run that goes on cannot be had without waiting: it is unfinished, or paused [C16]', async () => {
    const gate = new Gate();
    lab.body = () => gate.pass();
    const handle = await app.get(Flows).start(Lab, 'run', {});
    await gate.reached;
    const runs = app.get(FlowRuns);
    await expect(runs.outcome(handle.id)).rejects.toThrow(UnfinishedRunError);
    await app.get(RunControl).pause(handle.id);
    await expect(runs.outcome(handle.id)).rejects.toThrow(PausedRunError);
    await app.get(RunControl).resume(handle.id);
    gate.open();
    await handle.result();
  });
});
