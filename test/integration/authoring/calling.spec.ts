import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  allowFailure,
  asCompleted,
  currentRun,
  Flow,
  InvalidMappingError,
  NotDecoratedError,
  opaque,
  quote,
  RunState,
  submit,
  submitAll,
  Task,
  TaskFuture,
  unmapped,
  UpstreamError,
  wait,
  WaitTimeoutError,
  withOptions,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf, type StoredTaskRun } from '../../support/history.js';
import { sql } from '../../support/sql.js';

@Injectable()
class Works {
  body: () => Promise<unknown> = async () => undefined;
  attempts = 0;

  @Flow()
  async run(): Promise<unknown> {
    return this.body();
  }

  @Flow({ name: 'part' })
  async part(value: number): Promise<number> {
    if (value < 0) throw new RangeError(`${value} is negative.`);
    return value;
  }

  @Task()
  async add(one: number, other: number): Promise<number> {
    return one + other;
  }

  @Task()
  async fail(message: string): Promise<number> {
    this.attempts += 1;
    throw new RangeError(message);
  }

  @Task()
  async box(value: number): Promise<{ value: number }> {
    return { value };
  }

  @Task()
  async total(boxes: readonly { value: number }[], first?: unknown): Promise<number> {
    return boxes.reduce((sum, { value }) => sum + value, first instanceof Error ? 100 : 0);
  }

  @Task()
  async describe(value: unknown): Promise<string> {
    return value instanceof Error ? `error: ${value.message}` : typeof value;
  }

  @Task()
  async pass(gate: Gate, value: number): Promise<number> {
    await gate.pass();
    return value;
  }

  undecorated(): string {
    return '';
  }
}

describe('a call', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let works: Works;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Works] });
    works = app.get(Works);
  });
  beforeEach(() => (works.attempts = 0));
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const play = async <T>(body: () => Promise<T>): Promise<{ value: T; id: string; tasks: StoredTaskRun[] }> => {
    let id = '';
    works.body = () => {
      id = currentRun().flowRunId!;
      return body();
    };
    const value = (await works.run()) as T;
    return { value, id, tasks: await taskRunsOf(database, id) };
  };

  describe('with options of its own', () => {
    it('has those, and the method keeps its own [F13] [T20]', async () => {
      const { tasks } = await play(async () => {
        const persistent = withOptions(works, { retries: 2, tags: ['x'], runName: 'again {0}' });
        await persistent.fail('a').catch(() => undefined);
        await works.fail('b').catch(() => undefined);
      });
      expect(works.attempts).toBe(4);
      expect(tasks).toMatchObject([
        { name: 'again a', run_count: 3, tags: ['x'] },
        { name: expect.stringMatching(/^fail-/), run_count: 1, tags: [] },
      ]);
    });

    it('changes those of a flow as well, called from outside', async () => {
      await withOptions(works, { tags: ['outside'], runName: 'part {0}' }).part(3);
      const [run] = await sql(database, `select name, tags from nestor.flow_run where name = 'part 3'`);
      expect(run).toEqual({ name: 'part 3', tags: ['outside'] });
    });

    it('is recognised by its key in place of its inputs', async () => {
      const { tasks } = await play(() => withOptions(works, { key: 'sum' }).add(1, 2));
      const { tasks: others } = await play(() => withOptions(works, { key: 'sum' }).add(3, 4));
      expect(tasks[0]!.dynamic_key).toContain('.key:');
      expect(others[0]!.dynamic_key).toBe(tasks[0]!.dynamic_key);
    });

    it('of a method that is neither flow nor task is refused', () => {
      expect(() => withOptions(works, { retries: 1 }).undecorated()).toThrow(NotDecoratedError);
    });

    it('that cannot be meant is refused at once', () => {
      expect(() => withOptions(works, { retries: -1 })).toThrow('retries');
      expect(() => withOptions(works, { tags: [''] })).toThrow('tags');
    });

    it('is an ordinary call where there is no orchestrator', async () => {
      const plain = new (class extends Works {})();
      expect(await withOptions(plain, { retries: 1 }).add(1, 2)).toBe(3);
    });
  });

  describe('that returns its state', () => {
    it('gives that in place of the value or the error [F12]', async () => {
      const { value, tasks } = await play(async () => {
        const states = withOptions(works, { returnState: true });
        const sum = await states.add(1, 2);
        const failure = await states.fail('broken');
        return {
          sum: { type: sum.type, name: sum.name, result: sum.result(), run: sum.details.taskRunId },
          failure: { type: failure.type, message: failure.message, run: failure.details.taskRunId },
          thrown: await Promise.resolve()
            .then(() => failure.result())
            .catch((error: Error) => error.message),
        };
      });
      expect(value).toEqual({
        sum: { type: 'COMPLETED', name: 'Completed', result: 3, run: tasks[0]!.id },
        failure: { type: 'FAILED', message: 'RangeError: broken', run: tasks[1]!.id },
        thrown: 'broken',
      });
    });

    it('gives it for a flow from outside, and for a subflow [F12]', async () => {
      const outside = await withOptions(works, { returnState: true }).part(-1);
      expect(outside).toMatchObject({ type: 'FAILED', details: { flowRunId: expect.any(String) } });
      const { value } = await play(async () => {
        const state = await withOptions(works, { returnState: true }).part(5);
        return [state.type, state.result()];
      });
      expect(value).toEqual(['COMPLETED', 5]);
    });

    it('decides how a flow ends that returns such states [F26]', async () => {
      const states = withOptions(works, { returnState: true });
      works.body = async () => [await states.add(1, 2), await states.fail('broken')];
      await expect(works.run()).rejects.toThrow('1 of 2 FAILED');
      works.body = async () => [await states.add(1, 2), await states.add(3, 4)];
      expect(await withOptions(works, { returnState: true }).run()).toMatchObject({ type: 'COMPLETED' });
    });
  });

  describe('that is submitted', () => {
    it('gives a future: its result, its state, and a word when it is done [T02]', async () => {
      const gate = new Gate();
      const told: unknown[] = [];
      const { value } = await play(async () => {
        const futures = [1, 2, 3].map((n) => submit(works).add(n, n));
        const held = submit(works).pass(quote(gate), 7);
        futures[0]!.onDone((future) => told.push(future));
        const early = await held.wait({ timeout: '20ms' });
        const late = await held.result({ timeout: '20ms' }).catch((error: unknown) => error);
        const before = held.state?.type;
        gate.open();
        return {
          sums: await Promise.all(futures.map((future) => future.result())),
          early,
          late: late instanceof WaitTimeoutError,
          before,
          after: [await held.result(), held.state?.type, typeof held.runId],
          isTold: told.length === 1 && told[0] === futures[0],
        };
      });
      expect(value).toEqual({
        sums: [2, 4, 6],
        early: null,
        late: true,
        before: 'RUNNING',
        after: [7, 'COMPLETED', 'string'],
        isTold: true,
      });
    });

    it('waits for the futures among its arguments, wherever they are [T07] [T08]', async () => {
      const { value, tasks } = await play(async () => {
        const works_ = submit(works);
        const two = works_.add(1, 1);
        const boxes = [works_.box(two), works_.box(3)];
        return works_.total(boxes).result();
      });
      expect(value).toBe(5);
      const [two, box, otherBox, total] = tasks;
      expect(box!.task_inputs).toEqual({ '0': [{ input_type: 'task_run', id: two!.id }] });
      expect(total!.task_inputs).toEqual({
        '0': [box, otherBox].map((task) => ({ input_type: 'task_run', id: task!.id })),
      });
    });

    it('is never made when what it waits for fails: it stays NotReady [T07]', async () => {
      const { value, tasks } = await play(async () => {
        const failing = submit(works).fail('broken');
        const next = submit(works).add(failing, 1);
        const afterwards = submit(works).add(next, 1);
        const error = await next.result().catch((caught: unknown) => caught);
        return { error, state: next.state?.name, afterwards: await afterwards.wait().then((state) => state?.name) };
      });
      expect(value).toMatchObject({ state: 'NotReady', afterwards: 'NotReady' });
      expect((value as { error: Error }).error.message).toContain('Failed');
      expect(tasks.map(({ state_type, state_name }) => [state_type, state_name])).toEqual([
        ['FAILED', 'Failed'],
        ['PENDING', 'NotReady'],
        ['PENDING', 'NotReady'],
      ]);
      expect(await stateNames(database, tasks[1]!.id)).toEqual(['Pending', 'NotReady']);
    });

    it('gets the error of what failed where that is allowed [T05]', async () => {
      const { value } = await play(async () => {
        const failing = submit(works).fail('broken');
        return submit(works).describe(allowFailure(failing)).result();
      });
      expect(value).toBe('error: broken');
    });

    it('takes quoted values as they stand and opaque ones without looking into them [T06]', async () => {
      const { value, tasks } = await play(async () => {
        const one = submit(works).box(1);
        const quoted = await submit(works).describe(quote('text')).result();
        const seen = await submit(works).describe(opaque(one)).result();
        return [quoted, seen];
      });
      expect(value).toEqual(['string', 'object']);
      expect(tasks[1]!.task_inputs).toEqual({});
      expect(tasks[2]!.task_inputs).toEqual({ '0': [{ input_type: 'task_run', id: tasks[0]!.id }] });
    });

    it('waits for what it is told to wait for [F12] [T08]', async () => {
      const { value, tasks } = await play(async () => {
        const first = submit(works).add(1, 1);
        const second = await withOptions(works, { waitFor: [first] }).add(2, 2);
        const failing = submit(works).fail('broken');
        const third = await withOptions(works, { waitFor: [failing] })
          .add(3, 3)
          .catch((error: unknown) => error instanceof UpstreamError);
        return [second, third];
      });
      expect(value).toEqual([4, true]);
      expect(tasks.map(({ state_name }) => state_name)).toEqual(['Completed', 'Completed', 'Failed', 'NotReady']);
      expect(tasks[1]!.task_inputs).toEqual({ wait_for: [{ input_type: 'task_run', id: tasks[0]!.id }] });
    });

    it('that fails and is not awaited takes nothing down', async () => {
      const { value } = await play(async () => {
        await submit(works).fail('unheard').wait();
        return 'fine';
      });
      expect(value).toBe('fine');
    });

    it('may be a subflow, and a flow from outside', async () => {
      const outside: TaskFuture<number> = submit(works).part(4);
      expect(await outside.result()).toBe(4);
      expect(outside.runId).toEqual(expect.any(String));
      const { value } = await play(() => submit(works).part(5).result());
      expect(value).toBe(5);
    });
  });

  describe('for each element of lists', () => {
    it('is made once per element; what is no list, or unmapped, is the same for all [T03]', async () => {
      const { value, tasks } = await play(async () => {
        const sums = await submitAll(works).add([1, 2, 3], unmapped(9)).results();
        const totals = await submitAll(works)
          .total(unmapped([{ value: 1 }]), [null, null])
          .results();
        return [sums, totals];
      });
      expect(value).toEqual([
        [10, 11, 12],
        [1, 1],
      ]);
      expect(tasks).toHaveLength(5);
    });

    it('goes through all lists together, and refuses those of different lengths [T03]', async () => {
      const { value } = await play(() => submitAll(works).add([1, 2], [10, 20]).results());
      expect(value).toEqual([11, 22]);
      expect(() => submitAll(works).add([1, 2], [1, 2, 3])).toThrow(InvalidMappingError);
      expect(() => submitAll(works).add(1 as never, 2 as never)).toThrow('no list');
    });
  });

  it('among several is waited for together, or taken as it ends [T04]', async () => {
    const gate = new Gate();
    const { value } = await play(async () => {
      const slow = submit(works).pass(quote(gate), 1);
      const fast = submit(works).add(1, 1);
      const { done, notDone } = await wait([slow, fast], { timeout: '40ms' });
      const order: number[] = [];
      setTimeout(() => gate.open(), 10);
      for await (const future of asCompleted([slow, fast])) order.push(await future.result());
      return [done.length === 1 && done[0] === fast, notDone[0] === slow, order];
    });
    expect(value).toEqual([true, true, [2, 1]]);
    const never = new Gate();
    await play(async () => {
      const held = submit(works).pass(quote(never), 1);
      await expect(asCompleted([held], { timeout: '20ms' }).next()).rejects.toThrow(WaitTimeoutError);
      never.open();
      await held.wait();
    });
  });

  it('with what another one gave has that as its input [T08]', async () => {
    const { tasks } = await play(async () => {
      const box = await works.box(1);
      return works.total([box, await works.box(2)]);
    });
    expect(tasks[2]!.task_inputs).toEqual({
      '0': [tasks[0], tasks[1]].map((task) => ({ input_type: 'task_run', id: task!.id })),
    });
  });

  it('made of a state that completed goes on from its value', async () => {
    const { value } = await play(async () => {
      const state: RunState<number> = await withOptions(works, { returnState: true }).add(1, 1);
      return submit(works).add(state, 1).result();
    });
    expect(value).toBe(3);
  });
});
