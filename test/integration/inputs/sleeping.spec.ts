import { currentRun, pause, receiveInput, RunInputs, sleep, sleepUntil, submit } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { bestOf } from '../../support/best-of.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, subflowRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

describe('a flow that sleeps', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;

  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
    owner = await relay.start('owner');
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => {
    owner.stage.performed.length = 0;
  });

  const begin = (script: Stage['script']): Promise<string> => {
    owner.stage.script = script;
    return owner.begin('play');
  };
  const isRunning = (id: string) => waitFor(async () => (await flowRunOf(database, id)).state_type === 'RUNNING');
  const valuesOf = (id: string) =>
    sql<{ key: string }>(database, 'select key from nestor.run_value where flow_run_id = $1', [id]);
  const hasLeft = (id: string) => waitFor(async () => (await flowRunOf(database, id)).process_id === null);

  it('goes on after that time, by the clock', async () => {
    const id = await begin(async () => {
      const before = performance.now();
      await sleep('50ms');
      await sleepUntil(new Date(currentRun().now().getTime() + 50));
      await sleepUntil(new Date(0));
      await sleep(0);
      return performance.now() - before;
    });
    expect(await owner.result(id)).toBeGreaterThanOrEqual(98);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Completed']);
  });

  it('does not start over when its process dies: what is left of its sleep is slept elsewhere', async () => {
    const others = new Relay(database);
    const code = (stage: Stage): void => {
      stage.script = async () => {
        await stage.act('before');
        await sleep('3s');
        return performance.now();
      };
    };
    const slept = async (): Promise<number> => {
      const mortal = await others.start('mortal', code);
      const id = await mortal.begin('play');
      const sleptFrom = performance.now();
      await waitFor(async () => (await valuesOf(id)).some(({ key }) => key.includes('sleep')));
      await waitFor(() => performance.now() - sleptFrom > 1_500);
      await mortal.die();
      const heir = await others.start('heir', code);
      const sleptMs = ((await heir.result(id)) as number) - sleptFrom;
      expect(sleptMs).toBeGreaterThanOrEqual(2_950);
      expect(heir.stage.performed).toEqual([]);
      await others.close();
      return sleptMs;
    };
    expect(await bestOf(4_400, slept)).toBeLessThan(4_400); // three seconds anew would end after 4.5
  });

  it('is woken by a cancellation, a suspension and the end of its time', async () => {
    const cancelled = await begin(() => sleep('1h'));
    await isRunning(cancelled);
    await owner.control.cancel(cancelled);
    expect(await owner.failure(cancelled)).toMatchObject({ code: 'RUN_CANCELLED' });

    const suspended = await begin(() => sleep('1h'));
    await isRunning(suspended);
    await owner.control.suspend(suspended);
    await hasLeft(suspended);
    await owner.control.cancel(suspended);

    owner.stage.perform = () => sleep('1h');
    const timedOut = await begin(() => owner.stage.actInTime());
    expect(await owner.failure(timedOut)).toMatchObject({ code: 'RUN_TIMED_OUT' });
    owner.stage.perform = async (call) => `${call} by owner`;
  });

  it('in a subflow does not hold up the suspension of its caller', async () => {
    owner.stage.scene = () => sleep('1h');
    const id = await begin(() => owner.stage.enact());
    await waitFor(async () => (await subflowRunsOf(database, id))[0]?.state_type === 'RUNNING');
    await owner.control.suspend(id);
    await hasLeft(id);
    await owner.control.cancel(id);
  });

  it('is not woken while it is paused', async () => {
    const gate = new Gate();
    const id = await begin(async () => {
      await gate.pass();
      await sleep('20ms');
      return owner.stage.act('awake');
    });
    await gate.reached;
    await owner.settled();
    await owner.control.pause(id);
    await waitFor(() => owner.holdsUp(id));
    gate.open();
    await sleep('60ms');
    expect(owner.stage.performed).toEqual([]);
    await owner.control.resume(id);
    expect(await owner.result(id)).toBe('act(awake) by owner');
  });

  it('that nobody awaits does not take the process down when its run ends before it', async () => {
    const id = await begin(async () => {
      void sleep('1h');
      return 'done';
    });
    expect(await owner.result(id)).toBe('done');
  });

  it('in a task, and outside any run, is a plain wait', async () => {
    owner.stage.perform = async (call) => {
      await sleep('20ms');
      return call;
    };
    const id = await begin(() => owner.stage.act(1));
    expect(await owner.result(id)).toBe('act(1)');
    owner.stage.perform = async (call) => `${call} by owner`;
    expect(await valuesOf(id)).toEqual([]);
    await sleep('1ms');
    await sleepUntil(new Date(0));
    await expect(sleep(-1)).rejects.toMatchObject({ code: 'INVALID_DURATION' });
    await expect(sleepUntil(new Date(NaN))).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });

  describe('for long', () => {
    it('leaves its process meanwhile, and begins again when it has slept', async () => {
      const id = await begin(async () => {
        await owner.stage.act('before');
        await sleep('600ms', { suspendAfter: '100ms' });
        return [await owner.stage.act('after'), currentRun().attempt];
      });
      await hasLeft(id);
      expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'SCHEDULED', state_name: 'AwaitingResume' });
      expect(await owner.result(id)).toEqual(['act(after) by owner', 1]);
      expect(owner.stage.performed).toEqual(['act(before)', 'act(after)']);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingResume', 'Running', 'Completed']);
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1, empirical_policy: { recoveries: 0 } });
    });

    it('stays where the sleep is not long enough for it', async () => {
      const id = await begin(() => sleep('50ms', { suspendAfter: '1m' }));
      await owner.result(id);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Completed']);
    });

    it('leaves only when nothing else of it goes on', async () => {
      const gate = new Gate();
      owner.stage.perform = async (call) => {
        await gate.pass();
        return call;
      };
      const id = await begin(async () => {
        const task = submit(owner.stage).act(1);
        const [text] = await Promise.all([receiveInput(String), sleep('1500ms', { suspendAfter: 0 }), sleep('50ms')]);
        return [text, await task.result()];
      });
      await gate.reached;
      gate.open();
      await waitFor(() => owner.stage.performed.length === 1);
      await sleep('100ms');
      expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'RUNNING' });
      await owner.get(RunInputs).send(id, 'go');
      await hasLeft(id);
      expect(await owner.result(id)).toEqual(['go', 'act(1)']);
      expect(owner.stage.performed).toEqual(['act(1)']);
      owner.stage.perform = async (call) => `${call} by owner`;
    });

    it('is cancelled while it is away', async () => {
      const id = await begin(() => sleep('1h', { suspendAfter: '1m' }));
      await hasLeft(id);
      await owner.control.cancel(id);
      expect(await owner.failure(id)).toMatchObject({ code: 'RUN_CANCELLED' });
    });

    it('is told to whoever awaits the flow', async () => {
      owner.stage.script = () => sleep('1h', { suspendAfter: '1m' });
      await expect(owner.stage.play()).rejects.toMatchObject({ code: 'RUN_SUSPENDED' });
    });

    it('leaves also when a subflow is what sleeps, and stays while that is paused', async () => {
      const once = new Gate();
      owner.stage.scene = async () => {
        const answer = await pause({ input: String });
        await sleep('300ms', { suspendAfter: 0 });
        return answer;
      };
      const id = await begin(async () => {
        const [answer] = await Promise.all([owner.stage.enact(), sleep('300ms', { suspendAfter: 0 })]);
        once.open();
        return answer;
      });
      const [subflow] = await waitFor(async () => {
        const runs = await subflowRunsOf(database, id);
        return runs[0]?.state_name === 'Paused' && runs;
      });
      expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'RUNNING' });
      await owner.control.resume(subflow!.id, { input: 'on' });
      expect(await owner.result(id)).toBe('on');
      expect(await stateNames(database, id)).toContain('AwaitingResume');
    });
  });
});
