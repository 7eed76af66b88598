import { Injectable, type INestApplicationContext, type Type } from '@nestjs/common';
import {
  currentRun,
  Flow,
  FlowRuns,
  Flows,
  RunEndedError,
  RunTimeoutError,
  Task,
  UnserialisableValueError,
  type FlowRunWithHistory,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

class OrderRefused extends Error {
  readonly code = 'ORDER_REFUSED';
  constructor(readonly orderId: number) {
    super(`Order ${orderId} was refused.`);
  }
}

class Money {
  constructor(
    readonly amount: number,
    readonly currency: string,
  ) {}
}

/** Flows whose body is what a test says. */
@Injectable()
class Stage {
  counted: string[] = [];
  counting: (step: string) => unknown = (step) => step;
  body: (parameters: unknown) => Promise<unknown> = async () => undefined;

  @Flow()
  async play(parameters: unknown): Promise<unknown> {
    return this.body(parameters);
  }

  @Flow()
  async add(a: number, b: number): Promise<number> {
    return a + b;
  }

  @Flow({ retries: 2, retryDelay: '30ms' })
  async retried(): Promise<unknown> {
    return this.body(undefined);
  }

  @Flow({ retries: 1 })
  async retriedAtOnce(parameters?: unknown): Promise<unknown> {
    return this.body(parameters);
  }

  @Flow({ timeout: '40ms' })
  async timed(): Promise<unknown> {
    return this.body(undefined);
  }

  @Flow({ timeout: '40ms', retries: 1 })
  async timedAndRetried(): Promise<unknown> {
    return this.body(undefined);
  }

  @Flow({ timeout: '60d' })
  async patient(): Promise<unknown> {
    return this.body(undefined);
  }

  @Task()
  async step(): Promise<string> {
    return 'stepped';
  }

  @Task()
  async count(step: string): Promise<unknown> {
    this.counted.push(step);
    return this.counting(step);
  }
}

/** The same with other code. */
@Injectable()
class EditedStage extends Stage {
  @Flow()
  override async play(parameters: unknown): Promise<unknown> {
    return [parameters];
  }
}

describe('a flow', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let stage: Stage;
  let runs: FlowRuns;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, buildId: 'abc123', app: 'shop', providers: [Stage] });
    stage = app.get(Stage);
    runs = app.get(FlowRuns);
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const lastRun = async (): Promise<FlowRunWithHistory> => {
    const [run] = await runs.list({ limit: 1 });
    return runs.get(run!.id);
  };
  const stateNames = ({ states }: FlowRunWithHistory): string[] => states.map(({ name }) => name);
  const failureOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      (value) => Promise.reject(new Error(`It returned ${String(value)}.`)),
      (error: unknown) => error,
    );

  describe('that is called', () => {
    it('is a run with parameters, states and a result [F01] [F03]', async () => {
      stage.body = async () => 5;
      expect(await stage.play({ items: [2, 3] })).toBe(5);

      const run = await lastRun();
      expect(run).toMatchObject({
        flowName: 'Stage.play',
        parameters: { items: [2, 3] },
        stateType: 'COMPLETED',
        stateName: 'Completed',
        runCount: 1,
        parentTaskRunId: null,
        tags: [],
      });
      expect(run.name).toMatch(/^[a-z]+-[a-z]+$/);
      expect(stateNames(run)).toEqual(['Pending', 'Running', 'Completed']);
      expect(await runs.result(run.id)).toBe(5);
    });

    it('moves strictly forward in time, and its times are those of its states [O22] [O23]', async () => {
      await stage.play({});

      const { states, ...run } = await lastRun();
      const [pending, running, completed] = states.map(({ timestamp }) => timestamp);
      expect(pending).toBeLessThan(running!);
      expect(running).toBeLessThan(completed!);
      expect(run).toMatchObject({ expectedStartTime: pending, startTime: running, endTime: completed });
      expect(run.totalRunTimeMs).toBeCloseTo((completed! - running!) / 1_000, 3);
    });

    it('belongs to the application and the build that ran it', async () => {
      await stage.play({});
      const { id } = await lastRun();
      expect(
        await sql(database, 'select app, build_id, root_flow_run_id from nestor.flow_run where id = $1', [id]),
      ).toEqual([{ app: 'shop', build_id: 'abc123', root_flow_run_id: id }]);
    });

    it('belongs to a build that is told by its decorated methods, when nobody gave that a name', async () => {
      const buildOf = async (...providers: Type<Stage>[]): Promise<unknown> => {
        const other = await startApp({ url: database.url, providers });
        try {
          const { id } = await other.get(Flows).start(providers[0]!, 'play', {});
          await other.get(FlowRuns).result(id);
          return (await sql(database, 'select build_id from nestor.flow_run where id = $1', [id]))[0]!.build_id;
        } finally {
          await other.close();
        }
      };
      const builds = [await buildOf(Stage), await buildOf(Stage), await buildOf(EditedStage)];
      expect(builds[0]).toMatch(/^[0-9a-f]{16}$/);
      expect(builds[1]).toBe(builds[0]);
      expect(builds[2]).not.toBe(builds[0]);
    });

    it('has a version that changes with its source, and with nothing else [F04]', async () => {
      const versions = await Promise.all(
        [Stage, Stage, EditedStage].map(async (provider) => {
          const other = await startApp({ url: database.url, providers: [provider] });
          try {
            const { id } = await other.get(Flows).start(provider, 'play', {});
            await other.get(FlowRuns).result(id);
            const rows = await sql(database, 'select flow_version from nestor.flow_run where id = $1', [id]);
            return rows[0]!.flow_version;
          } finally {
            await other.close();
          }
        }),
      );
      expect(versions[1]).toBe(versions[0]);
      expect(versions[2]).not.toBe(versions[0]);
    });

    it('is durable before its body starts', async () => {
      stage.body = () => runs.get(currentRun().flowRunId!);
      expect(await stage.play({ order: 7 })).toMatchObject({ parameters: { order: 7 } });
    });

    it('gets a copy of its parameters as they are recorded: plain data that is its own', async () => {
      const given = { list: [1], money: new Money(5, 'EUR'), at: new Date(0) };
      let got: unknown;
      stage.body = async (parameters) => {
        got = structuredClone(parameters);
        (parameters as typeof given).list.push(2);
      };
      await stage.play(given);
      expect(got).toEqual({ list: [1], money: { amount: 5, currency: 'EUR' }, at: new Date(0) });
      expect(given.list).toEqual([1]);
      expect((await lastRun()).parameters).toEqual(got);
    });

    it('takes any number of arguments, which are its parameters by position', async () => {
      expect(await stage.add(2, 3)).toBe(5);
      expect((await lastRun()).parameters).toEqual({ 0: 2, 1: 3 });
    });

    it('fails before anything is written when its parameters cannot be recorded', async () => {
      const count = 'select count(*)::int as count from nestor.flow_run';
      const before = await sql(database, count);
      let began = false;
      stage.body = async () => (began = true);

      expect(await failureOf(stage.play({ callback: () => undefined }))).toMatchObject({
        code: 'UNSERIALISABLE_VALUE',
        subject: 'parameters of flow "Stage.play"',
        path: '$.callback',
      });
      expect(began).toBe(false);
      expect(await sql(database, count)).toEqual(before);
    });
  });

  describe('that returns', () => {
    it.each<[string, unknown]>([
      ['a Date', new Date('2026-11-22T04:55:48.123Z')],
      ['a Map in a Set', new Set([new Map([['a', 1n]])])],
      ['binary data', new Uint8Array([0, 1, 255])],
      ['undefined and odd numbers', { nothing: undefined, list: [undefined, NaN, -0, Infinity] }],
      ['text with NUL and a lone surrogate', 'a\0b\ud800c'],
      ['nothing', undefined],
    ])('gives %s as it was, to its caller and to whoever asks later', async (_, value) => {
      stage.body = async () => value;
      expect(await stage.play({ value })).toEqual(value);

      const run = await lastRun();
      expect(run.parameters).toEqual({ value });
      expect(await runs.result(run.id)).toEqual(value);
    });

    it('gives a copy, because the recorded value is what counts', async () => {
      const value = { list: [1] };
      stage.body = async () => value;
      const returned = await stage.play({});
      expect(returned).toEqual(value);
      expect(returned).not.toBe(value);
    });

    it('gives instances of classes as plain data', async () => {
      stage.body = async () => new Money(12, 'EUR');
      const money = await stage.play({});
      expect(money).toEqual({ amount: 12, currency: 'EUR' });
      expect(money).not.toBeInstanceOf(Money);
    });

    it('fails when the value cannot be recorded, and says where in it', async () => {
      stage.body = async () => ({ orders: [{ id: 1 }, { notify: () => undefined }] });
      const failure = await failureOf(stage.play({}));
      expect(failure).toBeInstanceOf(UnserialisableValueError);
      expect(failure).toMatchObject({ path: '$.orders[1].notify' });

      const run = await lastRun();
      expect(stateNames(run)).toEqual(['Pending', 'Running', 'Failed']);
      expect(run.states.at(-1)!.message).toContain(
        'result of flow "Stage.play" cannot be recorded: $.orders[1].notify',
      );
      await expect(runs.result(run.id)).rejects.toMatchObject({ code: 'UNSERIALISABLE_VALUE' });
    });
  });

  describe('that throws', () => {
    it('is FAILED, and its caller gets the error itself', async () => {
      stage.body = () => Promise.reject(new OrderRefused(7));
      expect(await failureOf(stage.play({}))).toBeInstanceOf(OrderRefused);

      const run = await lastRun();
      expect(stateNames(run)).toEqual(['Pending', 'Running', 'Failed']);
      expect(run.states.at(-1)!.message).toBe('Error: Order 7 was refused.');
      expect(run.endTime).toBe(run.states.at(-1)!.timestamp);
    });

    it('has its error recorded for whoever asks later', async () => {
      stage.body = () => Promise.reject(new OrderRefused(8));
      await failureOf(stage.play({}));
      expect(await failureOf(runs.result((await lastRun()).id))).toMatchObject({
        className: 'OrderRefused',
        message: 'Order 8 was refused.',
        code: 'ORDER_REFUSED',
        orderId: 8,
      });
    });

    const noText: unknown = Object.create(null);
    it.each<[string, unknown, string]>([
      ['a string', 'no stock', 'Thrown: no stock'],
      ['undefined', undefined, 'Thrown: undefined'],
      ['a symbol', Symbol('odd'), 'Thrown: Symbol(odd)'],
      ['an object that has no text', noText, 'Thrown: an object that cannot be shown'],
      ['an error with NUL in its message', new Error('a\0b'), 'Error: a\\0b'],
      ['an error with a very long message', new Error('x'.repeat(50_000)), `Error: ${'x'.repeat(9_993)}…`],
    ])('fails whatever it throws: %s', async (_, thrown, message) => {
      stage.body = () => Promise.reject(thrown);
      expect(await failureOf(stage.play({}))).toBe(thrown);

      const run = await lastRun();
      expect(stateNames(run)).toEqual(['Pending', 'Running', 'Failed']);
      expect(run.states.at(-1)!.message).toBe(message);
    });
  });

  describe('with retries', () => {
    it('is scheduled again after its delay and counts its attempts [F07]', async () => {
      const attempts: number[] = [];
      stage.body = async () => {
        attempts.push(currentRun().attempt);
        if (attempts.length < 3) throw new Error(`failure ${attempts.length}`);
        return 'done';
      };
      expect(await stage.retried()).toBe('done');

      const run = await lastRun();
      expect(attempts).toEqual([1, 2, 3]);
      expect(run.runCount).toBe(3);
      expect(stateNames(run)).toEqual([
        'Pending',
        ...['Running', 'AwaitingRetry', 'Running', 'AwaitingRetry', 'Running'],
        'Completed',
      ]);
      const [, , waiting, again] = run.states;
      expect(waiting).toMatchObject({ type: 'SCHEDULED', message: 'Error: failure 1' });
      expect(waiting!.details.scheduledTime! - waiting!.timestamp).toBeGreaterThanOrEqual(29_000);
      expect(again!.timestamp).toBeGreaterThanOrEqual(waiting!.details.scheduledTime!);
    });

    it('counts only the time in which it ran as run time', async () => {
      let calls = 0;
      stage.body = async () => {
        if (++calls === 1) throw new Error('once');
      };
      await stage.retried();
      const { totalRunTimeMs, startTime, endTime, states } = await lastRun();
      expect(startTime).toBe(states[1]!.timestamp);
      expect((endTime! - startTime!) / 1_000 - totalRunTimeMs).toBeGreaterThanOrEqual(29);
    });

    it('fails with the last error when no attempt succeeds', async () => {
      let calls = 0;
      stage.body = () => Promise.reject(new OrderRefused(++calls));
      expect(await failureOf(stage.retried())).toMatchObject({ orderId: 3 });

      const run = await lastRun();
      expect(run.runCount).toBe(3);
      expect(stateNames(run).at(-1)).toBe('Failed');
      expect(await failureOf(runs.result(run.id))).toMatchObject({ orderId: 3 });
    });

    it('gets the parameters it was called with in every attempt, whatever it did to them in the one before', async () => {
      const seen: unknown[] = [];
      stage.body = async (parameters) => {
        seen.push(structuredClone(parameters));
        (parameters as { list: number[] }).list.push(2);
        if (seen.length === 1) throw new Error('once');
      };
      const given = { list: [1] };
      await stage.retriedAtOnce(given);
      expect(seen).toEqual([{ list: [1] }, { list: [1] }]);
      expect(given).toEqual({ list: [1] });
    });

    it('does not do again what its tasks have completed, but what has failed and what is new', async () => {
      let calls = 0;
      stage.counted = [];
      stage.counting = (step) => {
        if (step === 'fails once' && ++calls === 1) throw new Error('once');
        return `${step} ${currentRun().taskRunName}`;
      };
      const results: unknown[][] = [];
      stage.body = async () => {
        const done = [await stage.count('one'), await stage.count('twice'), await stage.count('twice')];
        results.push(done);
        const rest = await Promise.all([stage.count('beside'), stage.count('fails once')]);
        return [...done, ...rest, await stage.count('new')];
      };
      const returned = await stage.retriedAtOnce();
      expect(stage.counted).toEqual([...['one', 'twice', 'twice', 'beside', 'fails once'], ...['fails once', 'new']]);
      expect(results[1]).toEqual(results[0]);
      expect(returned).toEqual([...results[0]!, expect.any(String), expect.any(String), expect.any(String)]);

      const tasks = await taskRunsOf(database, (await lastRun()).id);
      expect(tasks.map(({ state_type }) => state_type)).toEqual([
        ...['COMPLETED', 'COMPLETED', 'COMPLETED', 'COMPLETED', 'FAILED', 'COMPLETED', 'COMPLETED'],
      ]);
      expect(tasks.map(({ run_count }) => run_count)).toEqual(tasks.map(() => 1));
      const again = tasks.filter(({ dynamic_key }) => dynamic_key === tasks[4]!.dynamic_key);
      expect(again.map(({ state_type }) => state_type)).toEqual(['FAILED', 'COMPLETED']);
    });

    it('starts again without a pause when no delay was asked for', async () => {
      let calls = 0;
      stage.body = async () => {
        if (++calls === 1) throw new Error('once');
        return 'done';
      };
      expect(await stage.retriedAtOnce()).toBe('done');
      expect(stateNames(await lastRun())).toEqual(['Pending', 'Running', 'AwaitingRetry', 'Running', 'Completed']);
    });
  });

  describe('with a timeout', () => {
    it('fails as TimedOut while its code goes on [F09]', async () => {
      const gate = new Gate();
      stage.body = () => gate.pass();
      const failure = await failureOf(stage.timed());
      expect(failure).toBeInstanceOf(RunTimeoutError);
      expect(failure).toMatchObject({ timeoutMs: 40 });
      gate.open();

      const run = await lastRun();
      expect(run).toMatchObject({ stateType: 'FAILED', stateName: 'TimedOut' });
      expect(run.totalRunTimeMs).toBeGreaterThanOrEqual(39);
    });

    it('is tried again when it has retries, with as much time again', async () => {
      const gate = new Gate();
      stage.body = async () => (currentRun().attempt === 1 ? gate.pass() : 'in time');
      expect(await stage.timedAndRetried()).toBe('in time');
      gate.open();
      expect(stateNames(await lastRun())).toEqual(['Pending', 'Running', 'AwaitingRetry', 'Running', 'Completed']);
    });

    it('fires the signal of the attempt', async () => {
      let signal: AbortSignal | undefined;
      stage.body = () => {
        ({ signal } = currentRun());
        return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(new Error('gave up'))));
      };
      expect(await failureOf(stage.timed())).toBeInstanceOf(RunTimeoutError);
      expect(signal!.reason).toBeInstanceOf(RunEndedError);
      expect(signal!.reason).toMatchObject({ reason: 'it timed out' });
    });

    it('lets code of the attempt that is over start nothing and write nothing', async () => {
      const gate = new Gate();
      const late: unknown[] = [];
      stage.body = async () => {
        await gate.pass();
        for (const call of [() => stage.step(), () => stage.add(1, 1)]) late.push(await failureOf(call()));
      };
      await failureOf(stage.timed());
      const { id } = await lastRun();
      gate.open();
      await waitFor(() => late.length === 2);

      expect(late).toEqual([expect.any(RunEndedError), expect.any(RunEndedError)]);
      expect(await taskRunsOf(database, id)).toEqual([]);
      expect((await lastRun()).id).toBe(id);
    });

    it('may be longer than the longest timer', async () => {
      stage.body = () => stage.step();
      expect(await stage.patient()).toBe('stepped');
    });
  });
});
