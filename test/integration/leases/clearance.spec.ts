import { ProcessLease } from '../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import type { TestDatabase } from '@nestor/testing';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { waitFor } from '../../support/wait-for.js';

describe('a process whose heartbeats do not get through', () => {
  let database: TestDatabase;
  let proxy: DatabaseProxy;
  let relay: Relay;
  let process: RelayProcess;
  let gate: Gate;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(async () => {
    proxy = await DatabaseProxy.start(database);
    relay = new Relay(database);
    gate = new Gate();
    process = await relay.start('process', twoTasks, { directUrl: proxy.url });
  });
  afterEach(async () => {
    gate.open();
    await relay.close();
    proxy.close();
  });

  const twoTasks = (stage: RelayProcess['stage']): void => {
    stage.perform = async (call) => (call === 'act(1)' ? gate.pass() : call);
    stage.script = async () => {
      await stage.act(1);
      return stage.act(2);
    };
  };
  const lease = (): ProcessLease => process.get(ProcessLease);
  /** Others could have taken its runs over by now; its statements get through, but for those of the lease. */
  const loseTouch = async (): Promise<void> => {
    proxy.cut();
    await waitFor(() => lease().clearance() !== null);
  };
  /** A run whose first task ended after touch was lost, and whose second one is about to begin. */
  const inDoubt = async (): Promise<string> => {
    const id = await process.begin('play');
    await gate.reached;
    await loseTouch();
    gate.open();
    await waitFor(async () => (await taskRunsOf(database, id))[1]?.state_type === 'RUNNING');
    expect(process.stage.performed).toEqual(['act(1)']);
    return id;
  };

  it('begins no task of a flow until one does', async () => {
    const id = await inDoubt();
    await proxy.restore();
    expect(await process.result(id)).toBe('act(2)');
    expect(lease().clearance()).toBeNull();
  });

  it('begins no flow until one does', async () => {
    await loseTouch();
    let began = false;
    process.stage.script = async () => void (began = true);
    const id = await process.begin('play');
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'RUNNING');
    expect(began).toBe(false);
    await proxy.restore();
    await process.result(id);
    expect(began).toBe(true);
  });

  it('begins nothing when the next thing it hears is that it was fenced', async () => {
    const id = await inDoubt();
    await process.fence();
    await proxy.restore();
    await waitFor(() => process.logger.lines.some(({ message }) => message.includes('taken for dead')));
    expect(process.stage.performed).not.toContain('act(2)');
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'COMPLETED'); // it takes its own run over
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingResume', 'Running', 'Completed']);
    expect(process.stage.performed.filter((call) => call === 'act(2)')).toHaveLength(1);
  });

  it('hands back what waits when it shuts down', async () => {
    const id = await inDoubt();
    await process.app.close();
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingResume']);
    expect(process.stage.performed).toEqual(['act(1)']);
  });

  it('still executes tasks outside any flow, which nobody takes over', async () => {
    await loseTouch();
    expect(await process.stage.act(2)).toBe('act(2)');
  });

  it('goes on sending heartbeats when the thread that does has ended', async () => {
    const before = Reflect.get(lease(), 'thread') as { terminate(): Promise<number> };
    await before.terminate();
    await waitFor(() => ![null, before].includes(Reflect.get(lease(), 'thread')));
    process.stage.script = async () => 'done';
    expect(await process.result(await process.begin('play'))).toBe('done');
  });
});
