import { currentRun, FlowRuns } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { waitFor } from '../../support/wait-for.js';

const UNKNOWN_ID = '01a201cf-f4dd-7000-98e7-1976c9bbcf07';

describe('a flow run that somebody wants once more', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;
  let elsewhere: RelayProcess;

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
  beforeEach(() => (owner.stage.performed.length = 0));

  /** A flow of four tasks, the third of which fails as long as `broken` holds; every execution gives another result. */
  const played = async (params?: unknown): Promise<{ id: string; mend: () => void }> => {
    let broken = true;
    let count = 0;
    owner.stage.perform = async (call) => {
      if (call.startsWith('sing') && broken) throw new Error('broken');
      return `${call} #${++count}`;
    };
    owner.stage.script = async (given) => [
      await owner.stage.act(1),
      await owner.stage.act(2, given?.factor ?? 1),
      await owner.stage.sing(3),
      await owner.stage.act(4),
      currentRun().attempt,
    ];
    const id = await owner.begin('play', params);
    expect(await owner.failure(id)).toMatchObject({ message: 'broken' });
    owner.stage.performed.length = 0;
    return { id, mend: () => (broken = false) };
  };

  describe('by a retry', () => {
    it('does again what failed and what did not come to be, and nothing that was completed', async () => {
      const { id, mend } = await played();
      mend();
      expect(await elsewhere.control.retry(id)).toMatchObject({ type: 'SCHEDULED', name: 'AwaitingRetry' });
      expect(await waitFor(() => elsewhere.result(id).catch(() => null))).toEqual([
        ...['act(1) #1', 'act(2, 1) #2', 'sing(3) #3', 'act(4) #4'],
        2,
      ]);
      expect(owner.stage.performed).toEqual(['sing(3)', 'act(4)']);
      expect(await stateNames(database, id)).toEqual([
        ...['Pending', 'Running', 'Failed', 'AwaitingRetry', 'Running', 'Completed'],
      ]);
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 2, state_type: 'COMPLETED', process_id: null });
    });

    it('fails again when nothing was mended, and may be retried again', async () => {
      const { id, mend } = await played();
      await owner.control.retry(id);
      await waitFor(async () => (await flowRunOf(database, id)).run_count === 2);
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'FAILED');
      mend();
      await owner.control.retry(id);
      expect(await owner.result(id)).toHaveLength(5);
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 3 });
    });

    it('is refused while it runs, and for a subflow', async () => {
      const gate = new Gate();
      owner.stage.scene = async () => 'scene';
      owner.stage.script = async () => {
        await owner.stage.enact();
        await gate.pass();
      };
      const id = await owner.begin('play');
      await gate.reached;
      await expect(elsewhere.control.retry(id)).rejects.toMatchObject({
        code: 'RUN_CONTROL_REFUSED',
        action: 'retry',
        message: expect.stringContaining('it has not ended; cancel it first'),
      });
      gate.open();
      await owner.result(id);
      const [tracking] = await taskRunsOf(database, id);
      const runs = await owner.get(FlowRuns).list();
      const subflow = runs.find(({ parentTaskRunId }) => parentTaskRunId === tracking!.id);
      await expect(elsewhere.control.retry(subflow!.id)).rejects.toMatchObject({
        code: 'RUN_CONTROL_REFUSED',
        message: expect.stringContaining('it is a subflow'),
      });
    });

    it('of a run that was cancelled does again what was cut off', async () => {
      const gate = new Gate();
      owner.stage.perform = async (call) => {
        if (call === 'act(2)') await gate.pass();
        return call;
      };
      owner.stage.script = async () => [await owner.stage.act(1), await owner.stage.act(2)];
      const id = await owner.begin('play');
      await gate.reached;
      await owner.settled();
      await owner.control.setState(id, { type: 'CANCELLED' });
      await waitFor(async () => (await taskRunsOf(database, id))[1]?.state_type === 'CANCELLED');
      gate.open();
      owner.stage.performed.length = 0;
      await owner.control.retry(id);
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'COMPLETED');
      expect(owner.stage.performed).toEqual(['act(2)']);
      expect(await owner.result(id)).toEqual(['act(1)', 'act(2)']);
    });
  });

  describe('from a task run on', () => {
    it('does that one again and all that came after it', async () => {
      const { id, mend } = await played();
      mend();
      const [, second] = await taskRunsOf(database, id);
      await elsewhere.control.restart(id, { fromTaskRun: second!.id });
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'COMPLETED');
      expect(await owner.result(id)).toEqual(['act(1) #1', 'act(2, 1) #3', 'sing(3) #4', 'act(4) #5', 2]);
      expect(owner.stage.performed).toEqual(['act(2, 1)', 'sing(3)', 'act(4)']);
    });

    it('also of a run that had completed', async () => {
      owner.stage.perform = async (call) => `${call} #${owner.stage.performed.length}`;
      owner.stage.script = async () => [await owner.stage.act(1), await owner.stage.act(2)];
      const id = await owner.begin('play');
      expect(await owner.result(id)).toEqual(['act(1) #1', 'act(2) #2']);
      const [, second] = await taskRunsOf(database, id);
      await owner.control.restart(id, { fromTaskRun: second!.id });
      await waitFor(async () => (await flowRunOf(database, id)).run_count === 2);
      expect(await waitFor(async () => (await flowRunOf(database, id)).state_type === 'COMPLETED')).toBe(true);
      expect(await owner.result(id)).toEqual(['act(1) #1', 'act(2) #3']);
    });

    it('is refused for a task run of another run, and changes nothing', async () => {
      const { id } = await played();
      const { id: other } = await played();
      const [foreign] = await taskRunsOf(database, other);
      for (const taskRunId of [foreign!.id, UNKNOWN_ID, 'no id at all']) {
        await expect(owner.control.restart(id, { fromTaskRun: taskRunId })).rejects.toMatchObject({
          code: 'TASK_RUN_NOT_FOUND',
          taskRunId,
          flowRunId: id,
        });
      }
      expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'FAILED', run_count: 1 });
    });
  });

  describe('as a fork', () => {
    it('is a new run that takes over what was completed; the old one stays as it is', async () => {
      const { id, mend } = await played();
      mend();
      const fork = await elsewhere.control.fork(id, { name: 'another try' });
      expect(await elsewhere.result(fork)).toEqual(['act(1) #1', 'act(2, 1) #2', 'sing(3) #3', 'act(4) #4', 1]);
      expect(owner.stage.performed).toEqual(['sing(3)', 'act(4)']);
      expect(await stateNames(database, fork)).toEqual(['Scheduled', 'Pending', 'Running', 'Completed']);
      expect(await owner.get(FlowRuns).get(fork)).toMatchObject({ name: 'another try', parentTaskRunId: null });
      const tasks = await taskRunsOf(database, fork);
      expect(tasks.map(({ state_name }) => state_name)).toEqual(['Cached', 'Cached', 'Completed', 'Completed']);
      expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'FAILED', run_count: 1 });
      expect(await taskRunsOf(database, id)).toHaveLength(3);
    });

    it('with other parameters does again what depends on them alone', async () => {
      const { id, mend } = await played({ factor: 1, note: 'stays' });
      mend();
      const fork = await elsewhere.control.fork(id, { parameters: { factor: 2 } });
      expect(await elsewhere.result(fork)).toEqual(['act(1) #1', 'act(2, 2) #3', 'sing(3) #4', 'act(4) #5', 1]);
      expect(owner.stage.performed).toEqual(['act(2, 2)', 'sing(3)', 'act(4)']);
      expect(await owner.get(FlowRuns).get(fork)).toMatchObject({ parameters: { factor: 2, note: 'stays' } });
      expect(await owner.get(FlowRuns).get(id)).toMatchObject({ parameters: { factor: 1, note: 'stays' } });
    });

    it('from a task run on takes over only what came before it', async () => {
      const { id, mend } = await played();
      mend();
      const [, second] = await taskRunsOf(database, id);
      const fork = await elsewhere.control.fork(id, { fromTaskRun: second!.id });
      expect(await elsewhere.result(fork)).toEqual(['act(1) #1', 'act(2, 1) #3', 'sing(3) #4', 'act(4) #5', 1]);
    });

    it('gets nothing of it when it is given another task run or another run', async () => {
      const { id } = await played();
      await expect(owner.control.fork(id, { fromTaskRun: UNKNOWN_ID })).rejects.toMatchObject({
        code: 'TASK_RUN_NOT_FOUND',
      });
      await expect(owner.control.fork(UNKNOWN_ID)).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    });
  });
});
