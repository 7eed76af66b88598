import { setImmediate as turn } from 'node:timers/promises';
import { classCodec, currentRun, branch, mapTasks } from '@nestor/orchestrator';
import { TransitionService } from '../../../libs/orchestrator/src/runtime/transitions/transition.service.js';
import type { TestAppOptions } from '../../support/app.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, stateNames, subflowRunsOf, taskRunsOf } from '../../support/history.js';
import type { RelayProcess } from '../../support/relay.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { useTakeovers } from './support/takeovers.js';

describe('a flow run whose process died', () => {
  const takeovers = useTakeovers();
  const { interruption } = takeovers;

  /**
   * Plays code in a process that dies when it comes to the interruption, and then in another one.
   *
   * @param edited what the flow does in the second process; by default, which is the same build, what it did in the first.
   */
  const playTwice = async (
    code: (stage: Stage) => Promise<unknown>,
    edited: ((stage: Stage) => Promise<unknown>) | null = null,
    options: Partial<TestAppOptions> = {},
  ): Promise<{ id: string; first: RelayProcess; second: RelayProcess; result: unknown }> => {
    const takeover = await takeovers.playTwice(scripted(code), {
      ...{ options, edited: scripted(edited ?? code), ofSecond: edited ? { buildId: 'edited' } : {} },
    });
    return { ...takeover, result: await takeover.second.result(takeover.id) };
  };
  const scripted = (script: (stage: Stage) => Promise<unknown>) => (stage: Stage) => {
    stage.script = () => script(stage);
  };

  it('goes on in another process: what is recorded is not executed, what is not is [F28]', async () => {
    const { id, first, second, result } = await playTwice(async (stage) => {
      const recorded = [await stage.act(1), await stage.sing('a')];
      await interruption(stage);
      return [...recorded, await stage.act(2), currentRun().attempt];
    });

    expect(result).toEqual(['act(1) by first', 'sing(a) by first', 'act(2) by second', 1]);
    expect(first.stage.performed).toEqual(['act(1)', 'sing(a)']);
    expect(second.stage.performed).toEqual(['act(2)']);
    expect(await stateNames(takeovers.database, id)).toEqual([
      'Pending',
      'Running',
      'AwaitingResume',
      'Running',
      'Completed',
    ]);
    expect(await flowRunOf(takeovers.database, id)).toMatchObject({
      run_count: 1,
      empirical_policy: { recoveries: 1 },
      process_id: null,
    });
  });

  it('runs a task again that was running, as the same task run and the same attempt', async () => {
    const { id, second, result } = await playTwice(async (stage) => {
      stage.perform = async (call) => {
        await interruption(stage);
        return `${call} by ${stage.owner}`;
      };
      return stage.act(1);
    });

    expect(result).toBe('act(1) by second');
    expect(second.stage.performed).toEqual(['act(1)']);
    const [task, ...others] = await taskRunsOf(takeovers.database, id);
    expect(others).toEqual([]);
    expect(task).toMatchObject({ state_type: 'COMPLETED', run_count: 1 });
    expect(await stateNames(takeovers.database, task!.id)).toEqual(['Pending', 'Running', 'Rerunning', 'Completed']);
  });

  it('writes nothing more in the process that was taken for dead', async () => {
    let late: unknown;
    const { id, first } = await playTwice(async (stage) => {
      await stage.act(1);
      const { signal } = currentRun();
      await interruption(stage);
      if (stage.owner === 'second') return stage.act('second');
      await waitFor(() => signal.aborted);
      return (late = await stage.act('late').catch((error: unknown) => error));
    });
    takeovers.gate.open();

    expect(await waitFor(() => late)).toMatchObject({ code: 'LEASE_LOST', flowRunId: id });
    await first.settled();
    expect(first.stage.performed).toEqual(['act(1)']);
    expect(await taskRunsOf(takeovers.database, id)).toMatchObject([
      { result: 'act(1) by first' },
      { result: 'act(second) by second' },
    ]);
  });

  describe('and whose code was edited meanwhile', () => {
    it('replays what is unchanged and runs what is new, wherever that was put in', async () => {
      const { first, second, result } = await playTwice(
        async (stage) => {
          await stage.act(1);
          await stage.sing('removed later');
          await stage.act(2);
          await interruption(stage);
        },
        async (stage) => [
          await stage.sing('new at the top'),
          await stage.act(1),
          await stage.act('new in the middle'),
          await stage.act(2),
          await stage.act(3),
        ],
      );

      expect(result).toEqual([
        ...['sing(new at the top) by second', 'act(1) by first', 'act(new in the middle) by second'],
        ...['act(2) by first', 'act(3) by second'],
      ]);
      expect(first.stage.performed).toEqual(['act(1)', 'sing(removed later)', 'act(2)']);
      expect(second.stage.performed).toEqual(['sing(new at the top)', 'act(new in the middle)', 'act(3)']);
    });

    it('keeps the recorded results of a task whose body was changed', async () => {
      const { second, result } = await playTwice(
        async (stage) => {
          stage.perform = async () => 'as it was';
          await stage.act(1);
          await interruption(stage);
        },
        async (stage) => {
          stage.perform = async () => 'as it is now';
          return [await stage.act(1), await stage.act(2)];
        },
      );
      expect(result).toEqual(['as it was', 'as it is now']);
      expect(second.stage.performed).toEqual(['act(2)']);
    });

    it('runs a task again whose inputs were changed', async () => {
      const { result } = await playTwice(
        async (stage) => {
          await stage.act({ size: 1, colour: 'red' }, 'x');
          await interruption(stage);
        },
        async (stage) => [
          await stage.act({ colour: 'red', size: 1 }, 'x').then(() => stage.performed.length), // equal: the order of fields is none
          await stage.act({ colour: 'red', size: 2 }, 'x').then(() => stage.performed.length),
        ],
      );
      expect(result).toEqual([0, 1]);
    });

    it('closes the task runs that had begun and are not called any more', async () => {
      const { id, result } = await playTwice(
        async (stage) => {
          await stage.act(1);
          stage.perform = () => interruption(stage);
          await stage.sing('begun');
        },
        async (stage) => stage.act(1),
      );
      expect(result).toBe('act(1) by first');
      await waitFor(async () =>
        (await taskRunsOf(takeovers.database, id)).every(({ state_type }) => state_type !== 'RUNNING'),
      );
      const [, left] = await taskRunsOf(takeovers.database, id);
      expect(left).toMatchObject({ task_key: 'Stage.sing', state_type: 'CANCELLED', result: null });
      expect(await stateNames(takeovers.database, left!.id)).toEqual(['Pending', 'Running', 'Cancelled']);
    });
  });

  describe('tells equal calls apart', () => {
    /** Gives every execution another result, so that a mix-up shows. */
    const numbered = (stage: Stage): void => {
      let count = 0;
      stage.perform = async () => `${stage.owner} ${++count}`;
    };
    const order = (stage: Stage, index: number, of: number): number =>
      stage.owner === 'first' ? index : of - 1 - index;

    it('by the item of the list they are made for, in whatever order the items come', async () => {
      const items = ['a', 'b', 'c', 'd'];
      const { result, second } = await playTwice(async (stage) => {
        numbered(stage);
        const results = await mapTasks(items, async (_, index) => {
          for (let turns = order(stage, index, items.length) * 40; turns > 0; turns -= 1) await turn();
          return [await stage.act('same'), await stage.sing('same')];
        });
        await interruption(stage);
        return [stage.owner, results];
      });
      const [owner, results] = result as [string, string[][]];
      expect(owner).toBe('second');
      expect(results).toHaveLength(4);
      expect(new Set(results.flat()).size).toBe(8);
      expect(results.flat().every((one) => one.startsWith('first'))).toBe(true);
      expect(results[0]![0]).toBe('first 1');
      expect(second.stage.performed).toEqual([]);
    });

    it('by the name of their branch', async () => {
      const seen: unknown[] = [];
      const { second } = await playTwice(async (stage) => {
        numbered(stage);
        const poll = (name: string, index: number): Promise<unknown> =>
          branch(name, async () => {
            for (let turns = order(stage, index, 2) * 40; turns > 0; turns -= 1) await turn();
            return [name, await stage.act('same'), await stage.act('same')];
          });
        seen.push(await Promise.all([poll('north', 0), poll('south', 1)]));
        await interruption(stage);
      });
      expect(seen).toHaveLength(2);
      expect(seen[1]).toEqual(seen[0]);
      expect(new Set((seen[0] as string[][]).flat()).size).toBe(6); // two names and four results
      expect(second.stage.performed).toEqual([]);
    });

    it('by the task that makes them, when that runs again', async () => {
      const { result, first, second } = await playTwice(async (stage) => {
        numbered(stage);
        let found = 0;
        stage.direction = async (name: string) => {
          const delay = order(stage, name === 'x' ? 0 : 1, 2) * 40;
          for (let turns = delay; turns > 0; turns -= 1) await turn();
          const result = await stage.act('same');
          if (++found === 2)
            await interruption(stage); // by then both are recorded
          else await waitFor(() => found === 2);
          if (stage.owner === 'first') await takeovers.gate.pass();
          return `${name}: ${result}`;
        };
        return Promise.all([stage.direct('x'), stage.direct('y')]);
      });
      expect(result).toEqual(['x: first 1', 'y: first 2']);
      expect(first.stage.performed.filter((call) => call === 'act(same)')).toHaveLength(2);
      expect(second.stage.performed.sort()).toEqual(['direct(x)', 'direct(y)']);
    });

    it('by their order where everything else is equal', async () => {
      const { result, second } = await playTwice(async (stage) => {
        numbered(stage);
        const results = [await stage.act('same'), await stage.act('same'), await stage.act('same')];
        await interruption(stage);
        return [...results, await stage.act('same')];
      });
      expect(result).toEqual(['first 1', 'first 2', 'first 3', 'second 1']);
      expect(second.stage.performed).toEqual(['act(same)']);
    });

    it('by their order where inputs cannot be told apart: functions, for instance', async () => {
      const { result, second } = await playTwice(async (stage) => {
        numbered(stage);
        const results = [await stage.act(() => 1), await stage.act((x: number) => x), await stage.sing(() => 1)];
        await interruption(stage);
        return [...results, await stage.act(() => 1)];
      });
      expect(result).toEqual(['first 1', 'first 2', 'first 3', 'second 1']);
      expect(second.stage.performed).toHaveLength(1);
    });
  });

  it('goes on with a subflow as it was, also when it is interrupted a second time before that begins', async () => {
    const code = (stage: Stage) => {
      stage.perform = () => Promise.reject(new Error('no'));
      stage.scene = async () => {
        const failure = await stage.act(1).catch((error: Error) => error.message);
        await interruption(stage);
        return failure;
      };
      stage.script = () => stage.enact();
    };
    const first = await takeovers.relay.start('first', code);
    const id = await first.begin('play');
    await takeovers.gate.reached;
    await first.die();

    const between = new Gate();
    const second = await takeovers.relay.start('second', code);
    const transitions = second.get(TransitionService);
    const { proposeForFlowRun } = transitions;
    jest.spyOn(transitions, 'proposeForFlowRun').mockImplementation(async (live, state, options) => {
      if (state.type === 'RUNNING' && live.created.id !== id) await between.pass();
      return proposeForFlowRun.call(transitions, live, state, options);
    });
    await between.reached;
    await second.die();
    const third = await takeovers.relay.start('third', code);
    expect(await third.result(id)).toBe('no');
    between.open();

    expect([second, third].flatMap(({ stage }) => stage.performed)).toEqual([]);
    const [subflow] = await subflowRunsOf(takeovers.database, id);
    expect(await taskRunsOf(takeovers.database, subflow!.id)).toMatchObject([{ state_type: 'FAILED', run_count: 1 }]);
    expect(await flowRunOf(takeovers.database, subflow!.id)).toMatchObject({ state_type: 'COMPLETED', run_count: 1 });
  });

  it('gives a failure that was caught again, so that the same catch runs, and executes nothing for it', async () => {
    const { result, second, id } = await playTwice(async (stage) => {
      stage.perform = async (call) => {
        if (call === 'act(boom)') throw Object.assign(new RangeError('too much'), { code: 'TOO_MUCH', limit: 3 });
        return `${call} by ${stage.owner}`;
      };
      let caught: unknown;
      const saved = await stage.act('boom').catch((error: unknown) => {
        caught = error;
        return stage.sing('rescue');
      });
      await interruption(stage);
      const { message, code, limit } = caught as Error & { code: string; limit: number };
      return [caught instanceof RangeError, message, code, limit, saved];
    });
    expect(result).toEqual([true, 'too much', 'TOO_MUCH', 3, 'sing(rescue) by first']);
    expect(second.stage.performed).toEqual([]);
    expect((await taskRunsOf(takeovers.database, id)).map(({ state_type }) => state_type)).toEqual([
      'FAILED',
      'COMPLETED',
    ]);
  });

  it('draws the same times, ids and random numbers again, in tasks and items as well', async () => {
    const draw = (): unknown => {
      const run = currentRun();
      return [run.now(), run.now(), run.uuid(), run.uuid(), run.random(), run.random()];
    };
    const drawn: Record<string, unknown[]> = { first: [], second: [] };
    await playTwice(async (stage) => {
      const mine = drawn[stage.owner]!;
      mine.push(draw());
      stage.direction = async () => {
        mine.push(draw());
        await stage.act(1); // what it drew is kept with it
        await interruption(stage);
      };
      const items = await mapTasks([1, 2, 3], async () => draw());
      mine.push(items);
      await stage.direct();
    });
    expect(drawn.first).toHaveLength(3);
    expect(drawn.second).toEqual(drawn.first);
    const ids = JSON.stringify(drawn.first).match(/[0-9a-f]{8}-[0-9a-f-]{27}/g);
    expect(ids).toHaveLength(10);
    expect(new Set(ids).size).toBe(10);
  });

  it('hands its parameters to the code as copies of what was recorded, each time', async () => {
    const seen: unknown[] = [];
    const script = (stage: Stage) => async (params: { items: string[]; at: Date }) => {
      seen.push(structuredClone(params));
      params.items.push(`added by ${stage.owner}`);
      await stage.act(1);
      await interruption(stage);
    };
    const params = { items: ['one'], at: new Date(5) };
    const { id, second } = await takeovers.playTwice((stage) => (stage.script = script(stage)), { params });
    await second.result(id);
    expect(seen).toEqual([
      { items: ['one'], at: new Date(5) },
      { items: ['one'], at: new Date(5) },
    ]);
    expect(params).toEqual({ items: ['one'], at: new Date(5) });
  });

  describe('gives results of tasks as they are recorded, when they were executed and when they are replayed:', () => {
    class Money {
      constructor(readonly cents: number) {}
    }
    const codec = classCodec({
      name: 'Money',
      type: Money,
      encode: ({ cents }) => ({ cents }),
      decode: ({ cents }) => new Money(cents),
    });

    it.each([
      ['instances of classes as plain data', {}, false],
      ['instances as instances, where the class has a codec', { codecs: [codec] }, true],
    ])('%s', async (_, options, areInstances) => {
      const seen: unknown[] = [];
      await playTwice(
        async (stage) => {
          stage.perform = async () => new Money(500);
          seen.push(await stage.act(1));
          await interruption(stage);
        },
        null,
        options,
      );
      expect(seen).toHaveLength(2);
      for (const money of seen) {
        expect(money).toMatchObject({ cents: 500 });
        expect(money instanceof Money).toBe(areInstances);
      }
    });
  });

  it('may die again and again, and is taken over each time', async () => {
    const gates = [new Gate(), new Gate(), new Gate()];
    const names = ['first', 'second', 'third', 'fourth'];
    const script = (stage: Stage) => async () => {
      const results: unknown[] = [];
      for (const [step, each] of gates.entries()) {
        results.push(await stage.act(step));
        if (stage.owner === names[step]) await each.pass();
      }
      return results;
    };
    let process = await takeovers.relay.start(names[0]!, (stage) => (stage.script = script(stage)));
    const id = await process.begin('play');
    for (const [index, each] of gates.entries()) {
      await each.reached;
      await process.die();
      process = await takeovers.relay.start(names[index + 1]!, (stage) => (stage.script = script(stage)));
    }
    expect(await process.result(id)).toEqual(['act(0) by first', 'act(1) by second', 'act(2) by third']);
    expect(await flowRunOf(takeovers.database, id)).toMatchObject({
      run_count: 1,
      empirical_policy: { recoveries: 3 },
    });
    gates.forEach((each) => each.open());
  });
});
