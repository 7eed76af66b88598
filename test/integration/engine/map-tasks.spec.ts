import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, Flow, mapTasks, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Stage {
  body: () => Promise<unknown> = async () => undefined;
  taskBody: (input: unknown) => Promise<unknown> = async (input) => input;

  @Flow()
  async play(): Promise<unknown> {
    return this.body();
  }

  @Task()
  async act(input?: unknown): Promise<unknown> {
    return this.taskBody(input);
  }

  @Task()
  async actAround(items: number[]): Promise<unknown> {
    return mapTasks(items, (item) => this.act(item));
  }
}

describe('within a flow', () => {
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
    await database.drop();
  });
  beforeEach(() => (stage.taskBody = async (input) => input));

  let flowRunId: string;
  const play = <T>(body: () => Promise<T>): Promise<T> => {
    stage.body = () => {
      flowRunId = currentRun().flowRunId!;
      return body();
    };
    return stage.play() as Promise<T>;
  };
  const keys = async (): Promise<string[]> =>
    (await taskRunsOf(database, flowRunId)).map((task) => `${task.task_key} ${task.dynamic_key}`);

  describe('mapTasks', () => {
    it('gives the results in the order of the items, whichever is done first', async () => {
      const first = new Gate();
      stage.taskBody = async (input) => {
        if (input === 'a') await first.pass();
        else first.open();
        return `${String(input)}!`;
      };
      expect(await play(() => mapTasks(['a', 'b'], (item) => stage.act(item)))).toEqual(['a!', 'b!']);
    });

    it('hands each item its index, and takes any iterable', async () => {
      const items = new Map([
        ['x', 1],
        ['y', 2],
      ]).keys();
      expect(await play(() => mapTasks(items, async (item, index) => `${item}${index}`))).toEqual(['x0', 'y1']);
      expect(await play(() => mapTasks([], (item) => stage.act(item)))).toEqual([]);
    });

    it('never works on more items at a time than it may, and on as many as it may [T21]', async () => {
      let running = 0;
      let most = 0;
      stage.taskBody = async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
      };
      const items = Array.from({ length: 20 }, (_, n) => n);
      await play(() => mapTasks(items, (item) => stage.act(item), { concurrency: 3 }));
      expect(most).toBe(3);
      await play(() => mapTasks(items, (item) => stage.act(item)));
      expect(most).toBe(20);
    });

    it('never waits for itself where items call tasks that map others, one at a time each [T22]', async () => {
      const nested = (depth: number): Promise<unknown> =>
        mapTasks(
          [1, 2],
          async (item) => {
            stage.taskBody = async () => (depth > 0 ? nested(depth - 1) : item);
            return stage.act(item);
          },
          { concurrency: 1 },
        );
      expect(await play(() => nested(2))).toEqual([
        [
          [1, 2],
          [1, 2],
        ],
        [
          [1, 2],
          [1, 2],
        ],
      ]);
    });

    it('begins nothing further after a failure, and throws the first one', async () => {
      const begun: unknown[] = [];
      stage.taskBody = async (input) => {
        begun.push(input);
        if (Number(input) >= 2) throw new Error(`item ${String(input)}`);
      };
      const call = play(() => mapTasks([0, 1, 2, 3, 4, 5, 6], (item) => stage.act(item), { concurrency: 1 }));
      await expect(call).rejects.toThrow('item 2');
      expect(begun).toEqual([0, 1, 2]);
    });

    it('waits for the items under way before it throws', async () => {
      const slow = new Gate();
      const ended: unknown[] = [];
      stage.taskBody = async (input) => {
        if (input === 'fails') {
          await slow.reached;
          throw new Error('first');
        }
        await slow.pass();
        ended.push(input);
      };
      const call = play(() =>
        mapTasks(['slow', 'fails', 'never begun'], (item) => stage.act(item), { concurrency: 2 }),
      );
      await slow.reached;
      await waitFor(async () =>
        (await taskRunsOf(database, flowRunId)).some(({ state_type }) => state_type === 'FAILED'),
      );
      slow.open();
      await expect(call).rejects.toThrow('first');
      expect(ended).toEqual(['slow']);
    });

    it.each([0, -1, 1.5, NaN])('refuses a concurrency of %d', async (concurrency) => {
      await expect(mapTasks([1], async (n) => n, { concurrency })).rejects.toMatchObject({
        code: 'INVALID_CONCURRENCY',
        concurrency,
      });
    });

    it('is an ordinary mapping outside any run', async () => {
      expect(await mapTasks([1, 2], async (n) => n * 2, { concurrency: 1 })).toEqual([2, 4]);
    });

    it('gives equal calls for different items keys of their own', async () => {
      await play(() => mapTasks([1, 2, 3], () => stage.act('same')));
      expect(new Set(await keys()).size).toBe(3);
    });
  });

  describe('the keys of task calls', () => {
    it('differ for equal calls, and for calls with other inputs [T24]', async () => {
      await play(async () => {
        await stage.act('a');
        await stage.act('a');
        await stage.act('b');
        await mapTasks(['a', 'b'], (item) => stage.act(item));
        await mapTasks(['a', 'b'], (item) => stage.act(item)); // the same again
        await stage.actAround([1, 1]);
        await stage.actAround([1, 1]);
      });
      const all = await keys();
      expect(new Set(all).size).toBe(all.length);
      expect(all).toHaveLength(3 + 2 + 2 + 6);
    });

    it('do not depend on the order of fields in inputs', async () => {
      await play(() => stage.act({ a: 1, b: 2 }));
      const before = await keys();
      await play(() => stage.act({ b: 2, a: 1 }));
      expect(await keys()).toEqual(before);
    });

    it('of inputs that have no form of their own go by order', async () => {
      stage.taskBody = async () => undefined;
      const twice = async (): Promise<string[]> => {
        await play(async () => {
          await stage.act(() => 'one');
          await stage.act(() => 'two');
        });
        return keys();
      };
      const before = await twice();
      expect(new Set(before).size).toBe(2);
      expect(await twice()).toEqual(before);
    });

    /** Plays two parallel branches, once with the left one through first and once with the right one; gives the keys. */
    const raced = async (branch: (name: string) => Promise<unknown>): Promise<[string[], string[]]> => {
      const playWithFirst = async (first: string): Promise<string[]> => {
        const firstIsThrough = new Gate();
        const playBranch = async (name: string): Promise<void> => {
          await stage.act(`${name} begins`);
          if (name !== first) await firstIsThrough.pass();
          await branch(name);
          if (name === first) firstIsThrough.open();
        };
        await play(() => Promise.all(['left', 'right'].map(playBranch)));
        return (await keys()).sort();
      };
      return [await playWithFirst('left'), await playWithFirst('right')];
    };

    it('are the same in every run, however its calls interleave', async () => {
      const [one, other] = await raced(async (name) => {
        await stage.act('same in both');
        await stage.act(`${name} only`);
        await stage.actAround(name === 'left' ? [1, 2] : [3]);
      });
      expect(new Set(one).size).toBe(one.length);
      expect(other).toEqual(one);
    });

    it('are the same when two mappings race', async () => {
      const [one, other] = await raced((name) => mapTasks([1, 2], (item) => stage.act(`${name} ${item}`)));
      expect(new Set(one).size).toBe(one.length);
      expect(other).toEqual(one);
    });

    it('are kept with the run, next to the version of how they are made', async () => {
      await play(() => stage.act('a'));
      expect(await sql(database, 'select encoding_version from nestor.flow_run where id = $1', [flowRunId])).toEqual([
        { encoding_version: 1 },
      ]);
    });
  });
});
