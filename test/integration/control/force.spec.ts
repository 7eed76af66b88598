import { currentRun, LeaseLostError, RunCancelledError, type StateType } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { RunObserver } from '../../../libs/orchestrator/src/runtime/control/run-observer.service.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { waitFor } from '../../support/wait-for.js';

describe('RunControl.setState()', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;
  let elsewhere: RelayProcess;
  let gate: Gate;
  const forced: string[] = [];

  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database, { cancelGrace: '100ms' });
    owner = await relay.start('owner');
    elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database, { forced })).toEqual([]);
    await database.drop();
  });
  beforeEach(() => (gate = new Gate()));
  afterEach(() => gate.open());

  /** A run that is at the gate within a task; `late` tells what its code got when it called one more afterwards. */
  const running = async (): Promise<{ id: string; late: () => unknown; signal: () => AbortSignal }> => {
    let late: unknown;
    let signal: AbortSignal;
    owner.stage.perform = async (call) => {
      if (call !== 'act(held up)') return call;
      ({ signal } = currentRun());
      await gate.pass();
      late = await owner.stage.act('late').catch((error: unknown) => error);
      return 'too late';
    };
    owner.stage.script = () => owner.stage.act('held up');
    const id = await owner.begin('play');
    forced.push(id);
    await gate.reached;
    await owner.settled();
    return { id, late: () => late, signal: () => signal };
  };

  describe.each([
    ['the process that executes it', () => owner],
    ['another process', () => elsewhere],
  ])('from %s', (_, where) => {
    it.each<[StateType, string]>([
      ['COMPLETED', 'Completed'],
      ['FAILED', 'Failed'],
      ['CRASHED', 'Crashed'],
      ['CANCELLED', 'Cancelled'],
    ])('ends a running run as %s; its process stops and writes nothing more', async (type, name) => {
      const { id, late, signal } = await running();
      expect(await where().control.setState(id, { type, message: 'by hand' })).toMatchObject({
        type,
        name,
        message: 'by hand',
      });
      await waitFor(() => signal().aborted);
      await waitFor(async () => (await taskRunsOf(database, id))[0]?.state_type === 'CANCELLED');
      gate.open();
      expect(await waitFor(late)).toMatchObject({
        code: expect.stringMatching(/^(RUN_ENDED|RUN_CANCELLED|LEASE_LOST)$/),
      });
      await owner.settled();
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', name]);
      expect(await taskRunsOf(database, id)).toMatchObject([{ state_type: 'CANCELLED', result: null }]);
      expect(await flowRunOf(database, id)).toMatchObject({ state_type: type, process_id: null, result: null });
    });

    it('tells whoever called the run, when it is CANCELLED', async () => {
      let id = '';
      owner.stage.script = async () => {
        id = currentRun().flowRunId!;
        await gate.pass();
      };
      const calling = owner.stage.play().catch((error: unknown) => error);
      await gate.reached;
      await owner.settled();
      forced.push(id);
      await where().control.setState(id, { type: 'CANCELLED' });
      expect(await calling).toBeInstanceOf(RunCancelledError);
    });

    it('lets a running run begin anew as SCHEDULED, and its old code is cut off', async () => {
      const { id, late, signal } = await running();
      await where().control.setState(id, { type: 'SCHEDULED' });
      await waitFor(() => signal().reason instanceof LeaseLostError);
      gate.open();
      expect(await waitFor(late)).toBeInstanceOf(LeaseLostError);
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'COMPLETED');
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Scheduled', 'Running', 'Completed']);
    });

    it('lets it begin anew in the process that executes it, before anybody has looked', async () => {
      const looking = jest.spyOn(owner.get(RunObserver), 'round' as never).mockResolvedValue(1_000 as never);
      const { id, late, signal } = await running();
      await where().control.setState(id, { type: 'SCHEDULED' });
      await waitFor(() => signal().reason instanceof LeaseLostError);
      looking.mockRestore();
      gate.open();
      expect(await waitFor(late)).toBeInstanceOf(LeaseLostError);
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'COMPLETED');
    });

    it('pauses a running run as PAUSED, and lets it go on as RUNNING', async () => {
      const { id } = await running();
      await where().control.setState(id, { type: 'PAUSED' });
      await waitFor(() => owner.holdsUp(id));
      await where().control.setState(id, { type: 'RUNNING' });
      await waitFor(() => !owner.holdsUp(id));
      gate.open();
      expect(await owner.result(id)).toBe('too late');
    });

    it('asks a running run to end as CANCELLING', async () => {
      const { id } = await running();
      await where().control.setState(id, { type: 'CANCELLING' });
      expect(await owner.failure(id)).toBeInstanceOf(RunCancelledError);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelling', 'Cancelled']);
    });

    it('moves an ended run to another end, and takes a name and a message', async () => {
      owner.stage.script = async () => Promise.reject(new Error('no'));
      const id = await owner.begin('play');
      await owner.failure(id);
      forced.push(id);
      expect(
        await where().control.setState(id, { type: 'COMPLETED', name: 'Written off', message: 'paid' }),
      ).toMatchObject({
        type: 'COMPLETED',
        name: 'Written off',
        message: 'paid',
      });
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Failed', 'Written off']);
    });
  });
});
