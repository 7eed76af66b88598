import { currentRun, FlowRuns, RunCancelledError } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { FlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import { FlowRunClaimsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, subflowRunsOf, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

const UNKNOWN_ID = '01a201cf-f4dd-7000-98e7-1976c9bbcf07';

/** Waits until the signal fires, as code does that is willing to end. */
const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

describe('RunControl.cancel()', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;
  let elsewhere: RelayProcess;
  let gate: Gate;

  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database, { cancelGrace: '150ms', drain: '5s' });
    owner = await relay.start('owner');
    // Another process of the same application; it has no flows, so that it executes nothing itself.
    elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => (gate = new Gate()));
  afterEach(() => gate.open());

  const cancelledTree = async (id: string): Promise<void> => {
    await waitFor(async () => {
      const flows = [await flowRunOf(database, id), ...(await subflowRunsOf(database, id))];
      const tasks = await Promise.all(flows.map((run) => taskRunsOf(database, run.id)));
      return [...flows, ...tasks.flat()].every(({ state_type }) => state_type === 'CANCELLED');
    });
  };
  const elapsedOf = async (work: Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work;
    return performance.now() - began;
  };

  describe.each([
    ['the process that executes it', () => owner],
    ['another process', () => elsewhere],
  ])('from %s', (_, where) => {
    it('ends a run whose code heeds its signal, with all that it called', async () => {
      const signals: AbortSignal[] = [];
      owner.stage.perform = () => {
        signals.push(currentRun().signal);
        void gate.pass();
        return untilAborted(currentRun().signal);
      };
      owner.stage.scene = () => {
        signals.push(currentRun().signal);
        return owner.stage.direct();
      };
      owner.stage.direction = () => owner.stage.act();
      owner.stage.script = () => {
        signals.push(currentRun().signal);
        return owner.stage.enact();
      };
      const id = await owner.begin('playTwice');
      await gate.reached;
      await owner.settled();
      expect(await where().control.cancel(id)).toMatchObject({ type: 'CANCELLING' });

      const failure = await where().failure(id);
      expect(failure).toBeInstanceOf(RunCancelledError);
      expect(failure).toMatchObject({ code: 'RUN_CANCELLED', flowRunId: id });
      expect(signals).toHaveLength(3);
      for (const signal of signals) expect(signal.reason).toBeInstanceOf(RunCancelledError);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelling', 'Cancelled']);
      await cancelledTree(id);
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1, process_id: null, result: null });
      expect(await subflowRunsOf(database, id)).toHaveLength(1);
    });

    it.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
      ['ignores its signal', () => gate.pass()],
      ['swallows what its signal says, and goes on', (signal) => untilAborted(signal).catch(() => gate.pass())],
    ])('ends a run without its task that %s, once the grace period is over', async (_, code) => {
      const begun = new Gate();
      let late: unknown;
      owner.stage.perform = async (call) => {
        if (call === 'act(late)') return undefined;
        void begun.pass();
        await code(currentRun().signal);
        return (late = await owner.stage.act('late').catch((error: unknown) => error));
      };
      owner.stage.script = () => owner.stage.act('hung');
      const id = await owner.begin('play');
      await begun.reached;
      await owner.settled();
      await where().control.cancel(id);

      expect(await where().failure(id)).toBeInstanceOf(RunCancelledError);
      await cancelledTree(id);
      gate.open();
      expect(await waitFor(() => late)).toBeInstanceOf(RunCancelledError);
      expect(await taskRunsOf(database, id)).toHaveLength(1);
    });

    it('ends a run that is paused, at once', async () => {
      owner.stage.script = async () => {
        await gate.pass();
        return owner.stage.act();
      };
      const id = await owner.begin('play');
      await gate.reached;
      await owner.settled();
      await where().control.pause(id);
      await waitFor(() => owner.holdsUp(id));
      gate.open();
      await where().control.cancel(id);
      expect(await where().failure(id)).toBeInstanceOf(RunCancelledError);
      expect((await stateNames(database, id)).slice(-1)).toEqual(['Cancelled']);
      expect(await taskRunsOf(database, id)).toEqual([]);
    });

    it('ends a run that waits for its next attempt, which is not made', async () => {
      let attempts = 0;
      let id = '';
      owner.stage.script = async () => {
        attempts += 1;
        id = currentRun().flowRunId!;
        throw new Error('once more');
      };
      const calling = owner.stage.playLater().catch((error: unknown) => error);
      await waitFor(async () => id !== '' && (await stateNames(database, id)).includes('AwaitingRetry'));
      expect(await where().control.cancel(id)).toMatchObject({ type: 'CANCELLED' });
      expect(await calling).toBeInstanceOf(RunCancelledError);
      expect(attempts).toBe(1);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingRetry', 'Cancelled']);
    });

    it('ends a run that is suspended', async () => {
      owner.stage.script = async () => {
        await gate.pass();
        return owner.stage.act();
      };
      const id = await owner.begin('play');
      await gate.reached;
      await owner.settled();
      await where().control.suspend(id);
      await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
      expect(await where().control.cancel(id)).toMatchObject({ type: 'CANCELLED' });
      expect(await where().failure(id)).toBeInstanceOf(RunCancelledError);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Suspended', 'Cancelled']);
    });

    it('ends a subflow alone; whoever called it may go on', async () => {
      owner.stage.perform = (call) => {
        if (call !== 'act(wait)') return Promise.resolve(call);
        void gate.pass();
        return untilAborted(currentRun().signal);
      };
      owner.stage.scene = () => owner.stage.act('wait');
      owner.stage.script = () => owner.stage.enact().catch((error: { code: string }) => owner.stage.act(error.code));
      const id = await owner.begin('play');
      await gate.reached;
      await owner.settled();
      const [subflow] = await subflowRunsOf(database, id);
      await where().control.cancel(subflow!.id);
      expect(await where().result(id)).toBe('act(RUN_CANCELLED)');
      expect(await flowRunOf(database, subflow!.id)).toMatchObject({ state_type: 'CANCELLED' });
    });

    it('is refused when the run has ended, and changes nothing', async () => {
      owner.stage.script = async () => 'done';
      const id = await owner.begin('play');
      await owner.result(id);
      await expect(where().control.cancel(id)).rejects.toMatchObject({
        code: 'RUN_CONTROL_REFUSED',
        flowRunId: id,
        action: 'cancel',
        stateType: 'COMPLETED',
      });
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Completed']);
    });

    it('is asked twice for the same, and the run ends once', async () => {
      owner.stage.script = () => untilAborted(currentRun().signal);
      const id = await owner.begin('play');
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'RUNNING');
      const answers = await Promise.allSettled([where().control.cancel(id), where().control.cancel(id)]);
      expect(answers.filter(({ status }) => status === 'fulfilled')).not.toEqual([]);
      expect(await owner.failure(id)).toBeInstanceOf(RunCancelledError);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelling', 'Cancelled']);
    });

    it.each([UNKNOWN_ID, 'no id at all'])('finds no run by %s', async (id) => {
      await expect(where().control.cancel(id)).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    });
  });

  it('of a run whose process died while it was asked ends the run, by a peer', async () => {
    const others = new Relay(database, { cancelGrace: '1h' });
    const code = (stage: RelayProcess['stage']): void => void (stage.script = () => gate.pass());
    const mortal = await others.start('mortal', code);
    const id = await mortal.begin('play');
    await gate.reached;
    await mortal.settled();
    await mortal.control.cancel(id);
    await mortal.die();
    const peer = await others.start('peer', code);
    expect(await peer.failure(id)).toBeInstanceOf(RunCancelledError);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelling', 'Cancelled']);
    gate.open();
    await others.close();
  });

  it('of a run that another process has just claimed ends it, and it is not begun', async () => {
    const others = new Relay(database);
    const leaving = await others.start('leaving', (stage) => (stage.script = () => gate.pass()), { drain: '1ms' });
    const id = await leaving.begin('play');
    await gate.reached;
    const heir = await others.start('heir', (stage) => (stage.script = () => stage.act(1)));
    const claims = heir.get(FlowRunClaimsRepository);
    const { claimFree } = claims;
    jest.spyOn(claims, 'claimFree').mockImplementation(async (...args) => {
      const claimed = await claimFree.apply(claims, args);
      // The transaction is its statement: what comes now comes after the claim.
      if (claimed.some(({ created }) => created.id === id)) await elsewhere.control.cancel(id);
      return claimed;
    });
    await leaving.app.close(); // hands it back
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'CANCELLED');
    await heir.get(RunClaimer).stop();
    await heir.app.close();
    expect(heir.stage.performed).toEqual([]);
    expect((await stateNames(database, id)).at(-1)).toBe('Cancelled');
    gate.open();
    await others.close();
  });

  it('of a run whose process died ends what is within it as well, also when whoever ended it dies before that', async () => {
    const others = new Relay(database);
    const prepare = (stage: Stage): void => {
      stage.perform = () => gate.pass();
      stage.scene = () => stage.act(1);
      stage.script = () => stage.enact();
    };
    const mortal = await others.start('mortal', prepare);
    const id = await mortal.begin('play');
    await gate.reached;
    await mortal.settled();

    const ending = await others.start('ending', undefined, { providers: [] });
    jest.spyOn(ending.get(FlowRunsRepository), 'within').mockImplementation(() => new Promise(() => undefined));
    void ending.control.setState(id, { type: 'CANCELLED' });
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'CANCELLED');
    expect((await flowRunOf(database, id)).process_id).toBe(ending.processId);
    await mortal.die();
    await ending.fence();

    await others.start('heir', prepare);
    await cancelledTree(id);
    await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelled']);
    gate.open();
    await others.close();
  });

  it('of a paused run whose process is gone ends the run at once', async () => {
    const others = new Relay(database);
    const mortal = await others.start('mortal', (stage) => (stage.script = () => gate.pass()));
    const id = await mortal.begin('play');
    await gate.reached;
    await mortal.settled();
    await mortal.control.pause(id);
    await mortal.die();
    const peer = await others.start('peer');
    await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
    expect(await peer.control.cancel(id)).toMatchObject({ type: 'CANCELLED' });
    expect(await peer.failure(id)).toBeInstanceOf(RunCancelledError);
    gate.open();
    await others.close();
  });

  describe('of code that never returns', () => {
    const hang = async (options: ConstructorParameters<typeof Relay>[1]): Promise<[Relay, RelayProcess, string]> => {
      const others = new Relay(database, options);
      const hung = await others.start('hung', (stage) => {
        stage.perform = () => gate.pass();
        stage.script = () => stage.act();
      });
      const id = await hung.begin('play');
      await gate.reached;
      await hung.settled();
      await hung.control.cancel(id);
      return [others, hung, id];
    };

    it('holds up no shutdown once the grace period is over', async () => {
      const [others, hung, id] = await hang({ cancelGrace: '50ms', drain: '20s' });
      expect(await hung.failure(id)).toBeInstanceOf(RunCancelledError);
      expect(await elapsedOf(others.close())).toBeLessThan(5_000);
    });

    it('is waited for by the drain no longer than the grace period, and the run is CANCELLED then [F19]', async () => {
      const [others, , id] = await hang({ cancelGrace: '300ms', drain: '20s' });
      expect(await elapsedOf(others.close())).toBeLessThan(8_000);
      expect((await owner.get(FlowRuns).get(id)).stateType).toBe('CANCELLED');
    });

    it('is cut off by a drain that is shorter than the grace period, and no other process begins the run again', async () => {
      const [others, , id] = await hang({ cancelGrace: '1h', drain: '50ms' });
      expect(await elapsedOf(others.close())).toBeLessThan(8_000);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelling', 'Cancelled']);
    });
  });
});
