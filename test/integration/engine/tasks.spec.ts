import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, Flow, FlowRuns, RecordedError, RunEndedError, RunTimeoutError, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf, type StoredTaskRun } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

class CardDeclined extends Error {
  readonly code = 'CARD_DECLINED';
  constructor(readonly retryAfterMs: number) {
    super('The card was declined.');
  }
}

/** A flow and tasks whose bodies are what a test says. */
@Injectable()
class Stage {
  body: () => Promise<unknown> = async () => undefined;
  taskBody: (input: unknown) => Promise<unknown> = async () => undefined;

  @Flow()
  async play(): Promise<unknown> {
    return this.body();
  }

  @Task()
  async act(input?: unknown): Promise<unknown> {
    return this.taskBody(input);
  }

  @Task({ name: 'outer act' })
  async actAround(input?: unknown): Promise<unknown> {
    return [await this.act(input), await this.act(input)];
  }

  @Task({ retries: 4, retryDelay: ['10ms', '40ms'] })
  async actAgain(): Promise<unknown> {
    return this.taskBody(undefined);
  }

  @Task({ retries: 1 })
  async actAgainAtOnce(): Promise<unknown> {
    return this.taskBody(undefined);
  }

  @Task({ timeout: '40ms', retries: 1 })
  async actInTime(): Promise<unknown> {
    return this.taskBody(undefined);
  }
}

describe('a task', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let stage: Stage;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Stage] });
    stage = app.get(Stage);
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  /** Plays `body` as a flow; gives what it returned and its task runs. */
  const play = async <T>(body: () => Promise<T>): Promise<{ value: T; id: string; tasks: StoredTaskRun[] }> => {
    let id = '';
    stage.body = () => {
      id = currentRun().flowRunId!;
      return body();
    };
    const value = (await stage.play()) as T;
    return { value, id, tasks: await taskRunsOf(database, id) };
  };
  const failureOf = (call: Promise<unknown>): Promise<unknown> => call.then(unexpected, (error: unknown) => error);
  const unexpected = (value: unknown): never => {
    throw new Error(`It returned ${String(value)}.`);
  };

  it('is a run of its own per call, with states and a result [T01]', async () => {
    stage.taskBody = async (input) => Number(input) * 2;
    const { value, id, tasks } = await play(async () => [await stage.act(1), await stage.act(2)]);

    expect(value).toEqual([2, 4]);
    expect(tasks).toMatchObject([
      {
        flow_run_id: id,
        task_key: 'Stage.act',
        parent_task_run_id: null,
        state_type: 'COMPLETED',
        run_count: 1,
        result: 2,
      },
      {
        flow_run_id: id,
        task_key: 'Stage.act',
        parent_task_run_id: null,
        state_type: 'COMPLETED',
        run_count: 1,
        result: 4,
      },
    ]);
    expect(tasks[0]!.name).toBe(`act-${tasks[0]!.id.slice(-3)}`);
    expect(await stateNames(database, tasks[0]!.id)).toEqual(['Pending', 'Running', 'Completed']);
  });

  it('has its outcome recorded when its call settles', async () => {
    stage.taskBody = async () => currentRun().taskRunId;
    const { value } = await play(async () => {
      const id = await stage.act();
      return sql(database, 'select state_name, result from nestor.task_run where id = $1', [id]);
    });
    expect(value).toEqual([{ state_name: 'Completed', result: expect.any(String) }]);
  });

  it('gives what was recorded: plain data for instances of classes, dates as dates', async () => {
    class Parcel {
      readonly weight = 2;
    }
    stage.taskBody = async () => ({ parcel: new Parcel(), sent: new Date(0), tags: new Set(['a']) });
    const { value } = await play(() => stage.act());
    expect(value).toEqual({ parcel: { weight: 2 }, sent: new Date(0), tags: new Set(['a']) });
    expect((value as { parcel: unknown }).parcel).not.toBeInstanceOf(Parcel);
  });

  it('can be found among the runs of its flow', async () => {
    const { id } = await play(() => stage.act('found'));
    expect(await app.get(FlowRuns).taskRunsOf(id)).toMatchObject([
      { taskKey: 'Stage.act', flowRunId: id, stateType: 'COMPLETED', runCount: 1 },
    ]);
  });

  describe('that fails', () => {
    it('throws a recorded error with name, code and fields', async () => {
      stage.taskBody = () => Promise.reject(new CardDeclined(500));
      const { value, tasks } = await play(() => failureOf(stage.act()));

      expect(value).toMatchObject({
        className: 'CardDeclined',
        message: 'The card was declined.',
        code: 'CARD_DECLINED',
      });
      expect(tasks[0]).toMatchObject({ state_type: 'FAILED', state_name: 'Failed' });
      expect(await stateNames(database, tasks[0]!.id)).toEqual(['Pending', 'Running', 'Failed']);
    });

    it('gives its caller what it gives a replay: an instance of RecordedError, not of the class thrown', async () => {
      stage.taskBody = () => Promise.reject(new CardDeclined(500));
      await play(async () => {
        const error = await failureOf(stage.act());
        expect(error).toBeInstanceOf(RecordedError);
        expect(error).not.toBeInstanceOf(CardDeclined);
        expect(error).toMatchObject({ retryAfterMs: 500 });
      });
    });

    it.each([
      ['TypeError', new TypeError('no')],
      ['RangeError', new RangeError('too far')],
      ['AggregateError', new AggregateError([new Error('one')], 'many')],
    ])('keeps the classes of the language: %s', async (_, thrown) => {
      stage.taskBody = () => Promise.reject(thrown);
      await play(async () => {
        const error = await failureOf(stage.act());
        expect(error).toBeInstanceOf(thrown.constructor);
        expect(error).toMatchObject({ message: thrown.message });
      });
    });

    it('does not fail its flow when that catches the error', async () => {
      stage.taskBody = () => Promise.reject(new Error('caught'));
      const { value } = await play(() => stage.act().catch(() => 'saved'));
      expect(value).toBe('saved');
    });

    it('fails with the path when its result cannot be recorded', async () => {
      stage.taskBody = async () => ({ retry: () => undefined });
      const { value, tasks } = await play(() => failureOf(stage.act()));
      expect(value).toMatchObject({
        code: 'UNSERIALISABLE_VALUE',
        path: '$.retry',
        subject: 'result of task "Stage.act"',
      });
      expect(tasks[0]).toMatchObject({ state_type: 'FAILED' });
    });
  });

  describe('with retries', () => {
    it('waits as its list says, and the last delay repeats [T09] [T10]', async () => {
      const attempts: number[] = [];
      stage.taskBody = async () => {
        attempts.push(currentRun().attempt);
        if (attempts.length < 4) throw new Error(`failure ${attempts.length}`);
        return 'at last';
      };
      const { value, tasks } = await play(() => stage.actAgain());

      expect(value).toBe('at last');
      expect(attempts).toEqual([1, 2, 3, 4]);
      expect(tasks).toMatchObject([{ state_type: 'COMPLETED', run_count: 4 }]);
      expect(await stateNames(database, tasks[0]!.id)).toEqual([
        ...[
          'Pending',
          'Running',
          'AwaitingRetry',
          'Retrying',
          'AwaitingRetry',
          'Retrying',
          'AwaitingRetry',
          'Retrying',
        ],
        'Completed',
      ]);
      const delays = await sql<{ ms: number }>(
        database,
        `select round(extract(epoch from (state_details->>'scheduledTime')::timestamptz - timestamp) * 1000)::int as ms
           from nestor.task_run_state where task_run_id = $1 and name = 'AwaitingRetry' order by timestamp`,
        [tasks[0]!.id],
      );
      expect(delays.map(({ ms }) => ms)).toEqual([10, 40, 40]);
    });

    it('does not run before its delay is over', async () => {
      let calls = 0;
      stage.taskBody = async () => {
        if (++calls === 1) throw new Error('once');
      };
      const { tasks } = await play(() => stage.actAgain());
      expect(
        await sql(
          database,
          `select count(*)::int as early from nestor.task_run_state r join nestor.task_run_state w on w.id = r.follows
            where r.task_run_id = $1 and w.task_run_id = $1
              and r.timestamp < (w.state_details->>'scheduledTime')::timestamptz`,
          [tasks[0]!.id],
        ),
      ).toEqual([{ early: 0 }]);
    });

    it('retries at once when it has no delay', async () => {
      let calls = 0;
      stage.taskBody = async () => {
        if (++calls === 1) throw new Error('once');
        return 'done';
      };
      const { value, tasks } = await play(() => stage.actAgainAtOnce());
      expect(value).toBe('done');
      expect(await stateNames(database, tasks[0]!.id)).toEqual(['Pending', 'Running', 'Retrying', 'Completed']);
    });

    it('fails with the last error when no attempt succeeds', async () => {
      let calls = 0;
      stage.taskBody = () => Promise.reject(new Error(`failure ${++calls}`));
      const { value, tasks } = await play(() => failureOf(stage.actAgainAtOnce()));
      expect(value).toMatchObject({ message: 'failure 2' });
      expect(await stateNames(database, tasks[0]!.id)).toEqual(['Pending', 'Running', 'Retrying', 'Failed']);
    });
  });

  it('with a timeout fails as TimedOut, is retried, and its late code starts nothing [T15] [T16]', async () => {
    const gate = new Gate();
    const late: unknown[] = [];
    let signal: AbortSignal | undefined;
    stage.taskBody = async (input) => {
      if (input === 'late') return 'ran all the same';
      ({ signal } = currentRun());
      await gate.pass();
      return late.push(await failureOf(stage.act('late')));
    };
    const { value, id, tasks } = await play(() => failureOf(stage.actInTime()));

    expect(value).toMatchObject({ className: RunTimeoutError.name, code: 'RUN_TIMED_OUT', timeoutMs: 40 });
    expect(tasks).toMatchObject([{ state_name: 'TimedOut', run_count: 2 }]);
    expect(await stateNames(database, tasks[0]!.id)).toEqual(['Pending', 'Running', 'Retrying', 'TimedOut']);
    expect(signal!.aborted).toBe(true);
    gate.open();
    await waitFor(() => late.length === 2);
    expect(late).toEqual([expect.any(RunEndedError), expect.any(RunEndedError)]);
    expect(await taskRunsOf(database, id)).toHaveLength(1);
  });

  describe('that is called', () => {
    it('from within a task belongs to that task [T01]', async () => {
      stage.taskBody = async (input) => input;
      const { value, tasks } = await play(() => stage.actAround('x'));
      const [outer, ...inner] = tasks;
      expect(value).toEqual(['x', 'x']);
      expect(outer).toMatchObject({ task_key: 'Stage.outer act', parent_task_run_id: null });
      expect(inner).toMatchObject([
        { task_key: 'Stage.act', parent_task_run_id: outer!.id },
        { task_key: 'Stage.act', parent_task_run_id: outer!.id },
      ]);
    });

    it('outside any flow is a run of its own [T01]', async () => {
      let ids: unknown[] = [];
      stage.taskBody = async () => {
        const { taskRunId, flowRunId, flowName } = currentRun();
        ids = [taskRunId, flowRunId, flowName];
        return 'alone';
      };
      expect(await stage.act()).toBe('alone');

      const [id, ...flow] = ids;
      expect(flow).toEqual([null, null]);
      expect(await sql(database, 'select flow_run_id, state_type from nestor.task_run where id = $1', [id])).toEqual([
        { flow_run_id: null, state_type: 'COMPLETED' },
      ]);
    });

    it('together with others runs side by side', async () => {
      const gates = [new Gate(), new Gate(), new Gate()];
      stage.taskBody = async (input) => {
        await gates[Number(input)]!.pass();
        return input;
      };
      const playing = play(() => Promise.all([0, 1, 2].map((n) => stage.act(n))));
      await Promise.all(gates.map((gate) => gate.reached)); // all three have begun before one has ended
      gates.forEach((gate) => gate.open());
      expect((await playing).value).toEqual([0, 1, 2]);
    });
  });

  describe('that nobody awaits', () => {
    const rejections: unknown[] = [];
    const noteRejection = (reason: unknown): void => void rejections.push(reason);
    beforeAll(() => process.on('unhandledRejection', noteRejection));
    afterAll(() => process.off('unhandledRejection', noteRejection));

    /** Nobody waits for the end of such a task, so it is recorded a little later than that of its flow. */
    const cancelledTaskOf = (flowRunId: string): Promise<StoredTaskRun> =>
      waitFor(async () => (await taskRunsOf(database, flowRunId)).find((task) => task.state_type === 'CANCELLED'));

    it('is CANCELLED when its flow ends, and its code is cut off', async () => {
      const gate = new Gate();
      let signal: AbortSignal | undefined;
      let late: unknown;
      stage.taskBody = async (input) => {
        if (input === 'inner') return undefined;
        ({ signal } = currentRun());
        await gate.pass();
        return (late = await failureOf(stage.act('inner')));
      };
      const { id } = await play(async () => {
        void stage.act('outer');
        await gate.reached;
      });
      const task = await cancelledTaskOf(id);

      expect(await stateNames(database, task.id)).toEqual(['Pending', 'Running', 'Cancelled']);
      expect(signal!.aborted).toBe(true);
      gate.open();
      await waitFor(() => late);
      expect(late).toBeInstanceOf(RunEndedError);
      expect(await taskRunsOf(database, id)).toHaveLength(1);
    });

    it('does not take the process down when it is cut off', async () => {
      rejections.length = 0;
      const gate = new Gate();
      stage.taskBody = () => gate.pass();
      await play(async () => {
        void stage.act();
        await gate.reached;
      });
      gate.open();
      // Node reports a rejection that nobody handles before it gets to the next immediate.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      expect(rejections).toEqual([]);
    });

    it('is not tried again once its flow has ended', async () => {
      let calls = 0;
      stage.taskBody = async () => {
        calls += 1;
        throw new Error('fails while the flow ends');
      };
      const { id } = await play(async () => {
        void stage.actAgainAtOnce().catch(() => undefined);
      });
      await cancelledTaskOf(id);
      expect(calls).toBe(1);
    });

    it('is cut off while it waits for its retry', async () => {
      stage.taskBody = () => Promise.reject(new Error('again and again'));
      const failure = new Gate();
      const { id } = await play(async () => {
        void stage.actAgain().catch(() => failure.pass());
        await waitFor(async () => (await taskRunsOf(database, currentRun().flowRunId!)).length > 0);
      });
      await failure.reached;
      failure.open();
      const task = await cancelledTaskOf(id);
      expect((await stateNames(database, task.id)).slice(-1)).toEqual(['Cancelled']);
    });
  });
});
