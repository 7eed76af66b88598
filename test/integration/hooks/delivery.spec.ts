import { Flows, RunControl, type StateType } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { Transactions } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { OwedHooksRepository } from '../../../libs/orchestrator/src/records/owed-hooks/owed-hooks.repository.js';
import { HookDelivery } from '../../../libs/orchestrator/src/runtime/hooks/hook-delivery.service.js';
import type { TestAppOptions } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { HookedStage } from './support/hooked-stage.js';

interface HookedProcess {
  readonly stage: HookedStage;
  readonly process: RelayProcess;
}

describe('hooks that are owed', () => {
  let database: TestDatabase;
  let relay: Relay;
  const gates: Gate[] = [];
  const forced: string[] = [];

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    expect(await illegalHistories(database, { forced })).toEqual([]);
    await database.drop();
  });
  beforeEach(() => void (relay = new Relay(database)));
  afterEach(async () => {
    for (const gate of gates.splice(0)) gate.open();
    await relay.close();
    await sql(database, 'truncate nestor.owed_hooks');
  });

  /** Opened after the test, at the latest. */
  const newGate = (): Gate => {
    const gate = new Gate();
    gates.push(gate);
    return gate;
  };
  const start = async (
    name: string,
    prepare: (stage: HookedStage) => void = () => undefined,
    options: Partial<TestAppOptions> = {},
  ): Promise<HookedProcess> => {
    const stage = new HookedStage();
    prepare(stage);
    const providers = [{ provide: HookedStage, useFactory: () => stage }];
    return { stage, process: await relay.start(name, undefined, { providers, ...options }) };
  };
  const begin = async ({ process }: HookedProcess, ...args: unknown[]): Promise<string> =>
    (await process.get(Flows).start(HookedStage, 'flow', ...args)).id;
  const owed = (): Promise<{ process_id: string | null }[]> => sql(database, 'select * from nestor.owed_hooks');
  const nothingOwed = () => waitFor(async () => (await owed()).length === 0);
  /** The hook is under way when the process dies. */
  const dieWithin =
    (hook: string, gate: Gate) =>
    (stage: HookedStage): void => {
      stage.hook = (called) => called === hook && gate.pass();
    };

  it('are called by the next process, when the one dies that entered the state, with the same arguments and result [F11]', async () => {
    const gate = newGate();
    const mortal = await start('mortal', dieWithin('onCompletion of flow', gate));
    const at = new Date();
    mortal.stage.script = async () => new Map([['at', at]]);
    const id = await begin(mortal, { id: 1 }, at);
    await gate.reached;
    await mortal.process.die();
    expect(await owed()).toHaveLength(1);

    const peer = await start('peer');
    await waitFor(() => peer.stage.called.length > 0);
    expect(peer.stage.called).toEqual(['onCompletion of flow']);
    const [told] = peer.stage.contexts;
    expect(told).toEqual({ ...mortal.stage.contexts[1], logger: expect.anything() });
    expect(told).toMatchObject({ args: [{ id: 1 }, at], result: new Map([['at', at]]), run: { id, attempt: 1 } });
    await nothingOwed();
  });

  it('are told the error as well [F11]', async () => {
    const gate = newGate();
    const mortal = await start('mortal', dieWithin('onFailure of flow', gate));
    mortal.stage.script = () => Promise.reject(new RangeError('too far'));
    await begin(mortal);
    await gate.reached;
    await mortal.process.die();

    const peer = await start('peer');
    await waitFor(() => peer.stage.called.length > 0);
    expect(peer.stage.contexts[0]).toMatchObject({ error: expect.any(RangeError), state: { type: 'FAILED' } });
  });

  it('of a task are called by the next process, once, and its replayed call calls none [F11] [T19]', async () => {
    const gate = newGate();
    const mortal = await start('mortal', dieWithin('onCompletion of task', gate));
    mortal.stage.script = () => mortal.stage.task({ sku: 'a' }, () => 'no form');
    const id = await begin(mortal);
    await gate.reached;
    await mortal.process.die();

    const peer = await start('peer', (stage) => (stage.script = () => stage.task({ sku: 'a' }, () => 'no form')));
    expect(await peer.process.result(id)).toBe('performed');
    await waitFor(() => peer.stage.called.length === 3);
    expect([...peer.stage.called].sort()).toEqual([
      'onCompletion of flow',
      'onCompletion of task',
      'onRunning of flow',
    ]);
    expect(peer.stage.performed).toBe(0);
    const told = peer.stage.contexts.find(({ run }) => run.kind === 'task-run');
    const [task] = await taskRunsOf(database, id);
    expect(told).toMatchObject({
      run: { id: task!.id, name: task!.name, flowRunId: id, taskName: 'task', attempt: 1 },
      args: [{ sku: 'a' }, undefined],
      result: 'performed',
    });
    await nothingOwed();
  });

  it('are not called for a call that is replayed [F10] [T19]', async () => {
    const gate = newGate();
    const mortal = await start('mortal');
    const script = (stage: HookedStage, end: () => Promise<unknown>) => async () => {
      await stage.task(1);
      return end();
    };
    mortal.stage.script = script(mortal.stage, () => gate.pass());
    const id = await begin(mortal);
    await gate.reached;
    await nothingOwed();
    await mortal.process.die();
    expect(mortal.stage.called).toEqual(['onRunning of flow', 'onRunning of task', 'onCompletion of task']);

    const peer = await start('peer', (stage) => (stage.script = script(stage, async () => 'done')));
    expect(await peer.process.result(id)).toBe('done');
    await waitFor(() => peer.stage.called.length === 2);
    expect(peer.stage.called).toEqual(['onRunning of flow', 'onCompletion of flow']);
  });

  it('are called by one of several processes that find them [F11]', async () => {
    const five = Array.from({ length: 5 }, newGate);
    const waiting = [...five];
    const mortal = await start('mortal', (stage) => {
      stage.hook = (called) => called === 'onCompletion of flow' && waiting.pop()?.pass();
    });
    await Promise.all(five.map(() => begin(mortal)));
    await Promise.all(five.map((gate) => gate.reached));
    await mortal.process.die();

    const peers = await Promise.all(['north', 'south', 'west'].map((name) => start(name)));
    await nothingOwed();
    const told = peers.flatMap(({ stage }) => stage.contexts.map(({ run }) => run.id));
    expect(told).toHaveLength(5);
    expect(new Set(told).size).toBe(5);
  });

  it('are called although the answer to their claim got lost', async () => {
    const gate = newGate();
    const mortal = await start('mortal', dieWithin('onCompletion of flow', gate));
    await begin(mortal);
    await gate.reached;
    const peer = await start('peer');
    await mortal.process.standStill();
    const { process } = peer;
    const claim = { processId: process.processId, app: relay.app, taskKeys: [], underWay: [], limit: 10 };
    const flowIds = (await sql<{ id: string }>(database, 'select id from nestor.flow')).map(({ id }) => id);
    const repository = process.get(OwedHooksRepository);
    // In one transaction, so that the peer does not notice the death before the claim of which it hears nothing.
    const claimed = await process.get(Transactions).run(async (tx) => {
      const fence = 'update nestor.process set fenced_at = clock_timestamp() where id = $1';
      await tx.query(fence, [mortal.process.processId]);
      return repository.claim(tx, { ...claim, flowIds });
    });
    expect(claimed).toHaveLength(1);
    expect(peer.stage.called).toEqual([]);

    process.get(HookDelivery).announce();
    await waitFor(() => peer.stage.called.length > 0);
    await nothingOwed();
    expect(peer.stage.called).toEqual(['onCompletion of flow']);
  });

  it('are left alone by a process that was taken for dead while it calls them, and goes on', async () => {
    const gate = newGate();
    const owner = await start('owner', dieWithin('onCompletion of flow', gate));
    await begin(owner);
    await gate.reached;
    const { processId } = owner.process;
    await owner.process.fence();
    await waitFor(() => owner.process.processId !== processId);
    owner.process.get(HookDelivery).announce();
    await begin(owner);
    await waitFor(() => owner.stage.called.length === 4);
    gate.open();
    await nothingOwed();
    expect(owner.stage.called.filter((called) => called === 'onCompletion of flow')).toHaveLength(2);
  });

  describe('by a run that somebody else ends', () => {
    /** A process that has no flow: whatever it does to runs is done by somebody who knows nothing of their hooks. */
    const stranger = () => relay.start('stranger', undefined, { providers: [] });

    it.each<[StateType, string]>([
      ['COMPLETED', 'onCompletion of flow'],
      ['FAILED', 'onFailure of flow'],
      ['CANCELLED', 'onCancellation of flow'],
      ['CRASHED', 'onCrashed of flow'],
    ])('as %s are called by a process that has the flow [F10]', async (type, hook) => {
      const gate = newGate();
      const owner = await start('owner', (stage) => (stage.script = () => gate.pass()));
      const id = await begin(owner);
      forced.push(id);
      await gate.reached;
      await owner.process.settled();
      await (await stranger()).control.setState(id, { type });
      await waitFor(() => owner.stage.called.length === 2);
      expect(owner.stage.called).toEqual(['onRunning of flow', hook]);
      expect(owner.stage.contexts[1]).toMatchObject({ run: { id }, state: { type } });
      gate.open();
      await nothingOwed();
    });

    it('wait for a process that has the flow, and are dropped where their run has gone on since', async () => {
      const gate = newGate();
      const owner = await start('owner', (stage) => (stage.script = () => gate.pass()));
      const id = await begin(owner);
      forced.push(id);
      await gate.reached;
      await owner.process.die();
      const other = await stranger();
      await other.control.setState(id, { type: 'CRASHED' });
      await other.control.setState(id, { type: 'FAILED' });
      expect(await owed()).toEqual([
        expect.objectContaining({ process_id: null }),
        expect.objectContaining({ process_id: null }),
      ]);

      const peer = await start('peer');
      await nothingOwed();
      expect(peer.stage.called).toEqual(['onFailure of flow']);
      expect(peer.stage.contexts[0]!.error).toBeUndefined();
      gate.open();
    });

    it('cancelled: are called by its own process, when that has wound it up [F10]', async () => {
      const gate = newGate();
      const owner = await start('owner', (stage) => (stage.script = () => gate.pass()));
      const id = await begin(owner);
      await gate.reached;
      await (await stranger()).control.cancel(id);
      gate.open();
      await owner.process.failure(id);
      expect(owner.stage.called).toEqual(['onRunning of flow', 'onCancellation of flow']);
      await nothingOwed();
    });

    it('are called for its subflow runs as well [F10]', async () => {
      const gate = newGate();
      const owner = await start('owner');
      const calls = [() => owner.stage.flow(), () => gate.pass()];
      owner.stage.script = async () => calls.shift()?.();
      const { id } = await owner.process.get(Flows).start(HookedStage, 'plain');
      await gate.reached;
      await owner.process.settled();
      forced.push(id);
      await (await stranger()).control.setState(id, { type: 'CANCELLED' });
      await waitFor(() => owner.stage.called.includes('onCancellation of flow'));
      gate.open();
    });

    it('of a flow without hooks are noted by none that knows, and dropped where a stranger noted them', async () => {
      const gate = newGate();
      const owner = await start('owner', (stage) => (stage.script = () => gate.pass()));
      const begun = () => owner.process.get(Flows).start(HookedStage, 'plain');
      const [one, other] = [await begun(), await begun()];
      await gate.reached;
      await owner.process.settled();
      forced.push(one.id, other.id);
      await owner.process.get(RunControl).setState(one.id, { type: 'CRASHED' });
      expect(await owed()).toEqual([]);
      await (await stranger()).control.setState(other.id, { type: 'CRASHED' });
      await nothingOwed();
      gate.open();
      expect(owner.stage.called).toEqual([]);
    });
  });

  it('by a run that is given up, because it has lost too many processes, are called by the next [F10]', async () => {
    const gate = newGate();
    const mortal = await start('mortal', (stage) => (stage.script = () => gate.pass()), { maxRecoveries: 0 });
    const id = await begin(mortal);
    await gate.reached;
    await mortal.process.die();
    const peer = await start('peer');
    await waitFor(() => peer.stage.called.length > 0);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Crashed']);
    expect(peer.stage.called).toEqual(['onCrashed of flow']);
    expect(peer.stage.contexts[0]!.state.message).toMatch(/^TOO_MANY_RECOVERIES/);
  });

  it('by a run that nobody resumed in time are called by whoever has the flow [F10]', async () => {
    const gate = newGate();
    const owner = await start('owner', (stage) => {
      stage.script = async () => {
        await gate.pass();
        return stage.plainTask();
      };
    });
    const id = await begin(owner);
    await gate.reached;
    await owner.process.settled();
    await owner.process.control.pause(id, { timeout: '1ms' });
    await relay.start('peer', undefined, { providers: [] }); // looks at once for what is overdue
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'FAILED');
    await waitFor(() => owner.stage.called.includes('onFailure of flow'));
    gate.open();
    expect(owner.stage.called).toEqual(['onRunning of flow', 'onFailure of flow']);
    expect(owner.stage.contexts[1]).toMatchObject({ state: { message: 'Nobody resumed the run in time.' } });
  });

  it('are left to others by a process that shuts down while it calls them', async () => {
    const gate = newGate();
    const leaving = await start('leaving', dieWithin('onCompletion of flow', gate));
    await begin(leaving);
    await gate.reached;
    await leaving.process.app.close();
    expect(await owed()).toHaveLength(1);
    const peer = await start('peer');
    await waitFor(() => peer.stage.called.length > 0);
    expect(peer.stage.called).toEqual(['onCompletion of flow']);
  });

  it('are noted with their state, and not where the run is in another one', async () => {
    const { process, ...owner } = await start('owner');
    const id = await begin({ process, ...owner });
    await process.result(id);
    await nothingOwed();
    const { flow_id: flowId } = (await flowRunOf(database, id)) as unknown as { flow_id: string };
    const row = { runId: id, app: relay.app, flowId, taskKey: null, arguments: null, processId: null };
    const rows = [
      { ...row, stateId: newId() },
      { ...row, runId: newId(), stateId: newId() },
    ];
    await process.get(Transactions).single((tx) => process.get(OwedHooksRepository).note(tx, rows));
    expect(await owed()).toEqual([]);
  });

  it('cost runs without hooks nothing', async () => {
    const { stage, process } = await start('owner');
    stage.script = () => Promise.all([1, 2, 3].map((n) => stage.plainTask(n)));
    await sql(
      database,
      `create function refuse() returns trigger language plpgsql as $$ begin raise 'written'; end $$`,
    );
    await sql(database, 'create trigger refuse before insert on nestor.owed_hooks execute function refuse()');
    try {
      const { id } = await process.get(Flows).start(HookedStage, 'plain');
      expect(await process.result(id)).toHaveLength(3);
      stage.script = () => Promise.reject(new Error('no luck'));
      const failed = await process.get(Flows).start(HookedStage, 'plain');
      await process.failure(failed.id);
    } finally {
      await sql(database, 'drop trigger refuse on nestor.owed_hooks');
    }
  });
});
