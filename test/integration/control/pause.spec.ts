import { currentRun } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Transactions } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { FlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import { RunObserver } from '../../../libs/orchestrator/src/runtime/control/run-observer.service.js';
import { ActiveFlowRuns } from '../../../libs/orchestrator/src/runtime/engine/active-flow-runs.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, subflowRunsOf, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

describe('a flow run that somebody wants to wait', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;
  let elsewhere: RelayProcess;
  let gate: Gate;

  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
    owner = await relay.start('owner');
    elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => {
    gate = new Gate();
    owner.stage.performed.length = 0;
  });
  afterEach(() => gate.open());

  /** A flow whose first task waits at the gate, and whose second one comes after it. */
  const twoTasks = (stage: Stage): void => {
    stage.perform = async (call) => {
      if (call === 'act(1)') await gate.pass();
      return `${call} by ${stage.owner}`;
    };
    stage.script = async () => [await stage.act(1), await stage.act(2), currentRun().attempt];
  };
  const begin = async (code = twoTasks): Promise<string> => {
    code(owner.stage);
    const id = await owner.begin('play');
    await gate.reached;
    await owner.settled();
    return id;
  };

  describe.each([
    ['the process that executes it', () => owner],
    ['another process', () => elsewhere],
  ])('from %s', (_, where) => {
    it('is paused: the task that runs ends, the next one waits until the run goes on', async () => {
      const id = await begin();
      expect(await where().control.pause(id)).toMatchObject({ type: 'PAUSED', name: 'Paused' });
      await waitFor(() => owner.holdsUp(id));
      gate.open();
      await waitFor(async () => (await taskRunsOf(database, id))[0]?.state_type === 'COMPLETED');
      await owner.settled();
      expect(owner.stage.performed).toEqual(['act(1)']);
      expect(await taskRunsOf(database, id)).toHaveLength(1);
      expect(await flowRunOf(database, id)).toMatchObject({ process_id: owner.processId });

      expect(await where().control.resume(id)).toMatchObject({ type: 'RUNNING' });
      expect(await owner.result(id)).toEqual(['act(1) by owner', 'act(2) by owner', 1]);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Paused', 'Running', 'Completed']);
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1 });
    });

    it('is suspended: it leaves its process once its task has ended, and begins again when it is resumed', async () => {
      const id = await begin();
      expect(await where().control.suspend(id)).toMatchObject({ type: 'PAUSED', name: 'Suspended' });
      await waitFor(() => owner.holdsUp(id));
      expect(await flowRunOf(database, id)).toMatchObject({ process_id: owner.processId });
      gate.open();
      await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
      expect(await taskRunsOf(database, id)).toMatchObject([{ state_type: 'COMPLETED' }]);

      expect(await where().control.resume(id)).toMatchObject({ type: 'SCHEDULED', name: 'Resuming' });
      expect(await owner.result(id)).toEqual(['act(1) by owner', 'act(2) by owner', 1]);
      expect(owner.stage.performed).toEqual(['act(1)', 'act(2)']);
      expect(await stateNames(database, id)).toEqual([
        ...['Pending', 'Running', 'Suspended', 'Resuming', 'Running', 'Completed'],
      ]);
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1, empirical_policy: { recoveries: 0 } });
    });

    it.each<['pause' | 'suspend' | 'resume', RegExp]>([
      ['pause', /only a RUNNING run can pause|has ended already/],
      ['suspend', /only a RUNNING run can pause|has ended already/],
      ['resume', /it is not paused/],
    ])('is refused when it has ended: %s', async (action, reason) => {
      owner.stage.script = async () => 'done';
      const id = await owner.begin('play');
      await owner.result(id);
      await expect(where().control[action](id)).rejects.toMatchObject({
        code: 'RUN_CONTROL_REFUSED',
        action,
        stateType: 'COMPLETED',
        message: expect.stringMatching(reason),
      });
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Completed']);
    });

    it('is refused to be resumed while it runs', async () => {
      const id = await begin();
      await expect(where().control.resume(id)).rejects.toMatchObject({ code: 'RUN_CONTROL_REFUSED' });
      gate.open();
      await owner.result(id);
    });

    it('is refused to be suspended when it is a subflow: its caller waits for it', async () => {
      const id = await begin((stage) => {
        stage.scene = () => gate.pass();
        stage.script = () => stage.enact();
      });
      const [subflow] = await subflowRunsOf(database, id);
      await expect(where().control.suspend(subflow!.id)).rejects.toMatchObject({
        code: 'RUN_CONTROL_REFUSED',
        message: expect.stringContaining('A subflow cannot be suspended.'),
      });
      gate.open();
      await owner.result(id);
    });

    it('fails when it is resumed after the time it was given', async () => {
      const id = await begin();
      await where().control.pause(id, { timeout: '1ms' });
      await waitFor(() => owner.holdsUp(id));
      expect(await where().control.resume(id)).toMatchObject({
        type: 'FAILED',
        message: 'Nobody resumed the run in time.',
      });
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'FAILED');
      gate.open();
      await waitFor(async () => (await taskRunsOf(database, id)).every(({ state_type }) => state_type !== 'RUNNING'));
      expect(owner.stage.performed).toEqual(['act(1)']);
    });
  });

  describe('and whose code is at its end by then', () => {
    /** Two attempts: what the first one comes to waits at the gate. */
    const endsAtTheGate = (end: (attempt: number) => unknown) => (stage: Stage) => {
      stage.script = async () => {
        const { attempt } = currentRun();
        await stage.act(attempt);
        if (attempt === 1) await gate.pass();
        return end(attempt);
      };
    };
    const failsOnce = endsAtTheGate((attempt) => {
      if (attempt === 1) throw new Error('no');
      return 'done';
    });
    const beginPaused = async (code: (stage: Stage) => void, how: 'pause' | 'suspend' = 'pause'): Promise<string> => {
      code(owner.stage);
      const id = await owner.begin('playTwice');
      await gate.reached;
      await owner.settled();
      await elsewhere.control[how](id);
      return id;
    };
    const isOver = (id: string) => waitFor(() => owner.get(ActiveFlowRuns).find(id)?.attempt?.ended);

    it('completes when it goes on', async () => {
      const id = await beginPaused(endsAtTheGate(() => 'done'));
      await waitFor(() => owner.holdsUp(id));
      gate.open();
      await isOver(id);
      await owner.settled();
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Paused']);
      await elsewhere.control.resume(id);
      expect(await owner.result(id)).toBe('done');
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Paused', 'Running', 'Completed']);
    });

    it('is tried again when it has failed and goes on', async () => {
      const id = await beginPaused(failsOnce);
      await waitFor(() => owner.holdsUp(id));
      gate.open();
      await isOver(id);
      await elsewhere.control.resume(id);
      expect(await owner.result(id)).toBe('done');
      expect(await stateNames(database, id)).toEqual([
        ...['Pending', 'Running', 'Paused', 'Running', 'AwaitingRetry', 'Running', 'Completed'],
      ]);
    });

    it('is tried again also when its process heard of the pause last', async () => {
      const { look } = RunObserver.prototype;
      const told: string[] = [];
      const deaf = jest.spyOn(owner.get(RunObserver), 'round' as never).mockResolvedValue(10 as never);
      const looking = jest.spyOn(owner.get(RunObserver), 'look').mockImplementation(function (this: RunObserver, id) {
        told.push(id);
        deaf.mockRestore();
        look.call(this, id);
      });
      const id = await beginPaused(failsOnce);
      gate.open();
      await waitFor(() => owner.holdsUp(id));
      expect(told).toEqual([id]);
      looking.mockRestore();
      await elsewhere.control.resume(id);
      expect(await owner.result(id)).toBe('done');
    });

    it('leaves its process when it is suspended, and comes to the same elsewhere', async () => {
      const id = await beginPaused(failsOnce, 'suspend');
      await waitFor(() => owner.holdsUp(id));
      gate.open();
      await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Suspended']);
      await elsewhere.control.resume(id);
      expect(await owner.result(id)).toBe('done');
      expect(await stateNames(database, id)).toEqual([
        ...['Pending', 'Running', 'Suspended', 'Resuming', 'Running', 'AwaitingRetry', 'Running', 'Completed'],
      ]);
      expect(owner.stage.performed).toEqual(['act(1)', 'act(2)']);
    });

    it('is cancelled when somebody asks for that', async () => {
      const id = await beginPaused(endsAtTheGate(() => 'done'));
      await waitFor(() => owner.holdsUp(id));
      gate.open();
      await isOver(id);
      await elsewhere.control.cancel(id);
      expect(await owner.failure(id)).toMatchObject({ code: 'RUN_CANCELLED' });
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Paused', 'Cancelling', 'Cancelled']);
    });

    it('is a subflow that is over with its caller', async () => {
      const id = await begin((stage) => {
        stage.scene = () => gate.pass();
        stage.script = () => stage.enact();
      });
      const [subflow] = await subflowRunsOf(database, id);
      await elsewhere.control.pause(subflow!.id);
      await waitFor(() => owner.holdsUp(subflow!.id));
      gate.open();
      await isOver(subflow!.id);
      await elsewhere.control.cancel(id);
      expect(await owner.failure(id)).toMatchObject({ code: 'RUN_CANCELLED' });
      expect(await flowRunOf(database, subflow!.id)).toMatchObject({ state_type: 'CANCELLED' });
    });
  });

  it('that is suspended in the midst of a task that calls tasks leaves its process, and goes on', async () => {
    const id = await begin((stage) => {
      stage.perform = async (call) => {
        if (call === 'act(1)') await gate.pass();
        return call;
      };
      stage.direction = async () => [await stage.act(1), await stage.act(2)];
      stage.script = () => stage.direct();
    });
    await elsewhere.control.suspend(id);
    await waitFor(() => owner.holdsUp(id));
    gate.open();
    await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
    await elsewhere.control.resume(id);
    expect(await owner.result(id)).toEqual(['act(1)', 'act(2)']);
    expect(owner.stage.performed).toEqual(['direct()', 'act(1)', 'direct()', 'act(2)']);
  });

  it('that is paused holds up what its subflows call, and only that of its own tree', async () => {
    const id = await begin((stage) => {
      stage.perform = async (call) => call;
      stage.scene = async () => {
        await gate.pass();
        return stage.act('in the subflow');
      };
      stage.script = () => stage.enact();
    });
    await owner.control.pause(id);
    await waitFor(() => owner.holdsUp(id));
    gate.open();
    owner.stage.script = () => owner.stage.act('in another run');
    expect(await owner.result(await owner.begin('play'))).toBe('act(in another run)');
    expect(owner.stage.performed).toEqual(['act(in another run)']);
    await owner.control.resume(id);
    expect(await owner.result(id)).toBe('act(in the subflow)');
  });

  it('that is suspended in the midst of a subflow leaves its process, and finds the subflow again', async () => {
    const id = await begin((stage) => {
      stage.perform = async (call) => {
        if (call === 'act(1)') await gate.pass();
        return call;
      };
      stage.scene = async () => [await stage.act(1), await stage.act(2)];
      stage.script = () => stage.enact();
    });
    await owner.control.suspend(id);
    await waitFor(() => owner.holdsUp(id));
    gate.open();
    await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
    await owner.control.resume(id);
    expect(await owner.result(id)).toEqual(['act(1)', 'act(2)']);
    expect(owner.stage.performed).toEqual(['act(1)', 'act(2)']);
    expect(await subflowRunsOf(database, id)).toHaveLength(1);
  });

  describe('and whose process is gone meanwhile', () => {
    it.each<['pause' | 'suspend']>([['pause'], ['suspend']])(
      'goes on in another one when it is resumed: %s',
      async (how) => {
        const others = new Relay(database);
        const mortal = await others.start('mortal', twoTasks);
        const id = await mortal.begin('play');
        await gate.reached;
        await mortal.settled();
        await mortal.control[how](id);
        await waitFor(() => mortal.holdsUp(id));
        gate.open();
        await waitFor(async () => (await taskRunsOf(database, id))[0]?.state_type === 'COMPLETED');
        await mortal.die();
        const heir = await others.start('heir', twoTasks);
        await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
        expect(heir.stage.performed).toEqual([]); // nobody has resumed it yet

        expect(await elsewhere.control.resume(id)).toMatchObject({ type: 'SCHEDULED', name: 'Resuming' });
        expect(await heir.result(id)).toEqual(['act(1) by mortal', 'act(2) by heir', 1]);
        expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1 });
        await others.close();
      },
    );

    it.each<['resume' | 'cancel', string[]]>([
      ['resume', ['Pending', 'Running', 'Paused', 'Resuming', 'Running', 'Completed']],
      ['cancel', ['Pending', 'Running', 'Paused', 'Cancelled']],
    ])('and that is let go in the very moment in which somebody decides on it: %s', async (action, history) => {
      const others = new Relay(database);
      const mortal = await others.start('mortal', twoTasks);
      const id = await mortal.begin('play');
      await gate.reached;
      await mortal.settled();
      await mortal.control.pause(id);
      await waitFor(() => mortal.holdsUp(id));
      gate.open();
      await waitFor(async () => (await taskRunsOf(database, id))[0]?.state_type === 'COMPLETED');
      await mortal.die();

      const flowRuns = elsewhere.get(FlowRunsRepository);
      const { loadRow } = flowRuns;
      const looked = jest.spyOn(flowRuns, 'loadRow').mockImplementationOnce(async (...args) => {
        const found = await loadRow.apply(flowRuns, args);
        await elsewhere.get(Transactions).single((tx) => flowRuns.releaseOrphans(tx, [id]));
        return found;
      });
      await elsewhere.control[action](id);
      expect(looked.mock.calls.length).toBeGreaterThan(1); // and then it decided again
      looked.mockRestore();
      const heir = await others.start('heir', twoTasks);
      await heir.result(id).catch(() => undefined);
      expect(await stateNames(database, id)).toEqual(history);
      await others.close();
    });

    it('is handed back as it waits when the process shuts down', async () => {
      const others = new Relay(database);
      const leaving = await others.start('leaving', twoTasks);
      const id = await leaving.begin('play');
      await gate.reached;
      await leaving.settled();
      await leaving.control.pause(id);
      await waitFor(() => leaving.holdsUp(id));
      await leaving.app.close();
      expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'PAUSED', process_id: null });
      gate.open();
      await others.close();
    });
  });
});
