import { LeaseLostError } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

interface StandaloneRun {
  readonly id: string;
  readonly state_type: string;
  readonly process_id: string | null;
}

describe('a task that is called outside any flow', () => {
  let database: TestDatabase;
  let relay: Relay;
  let process: RelayProcess;
  let gate: Gate;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(async () => {
    gate = new Gate();
    relay = new Relay(database);
    process = await relay.start('process', (stage) => (stage.perform = () => gate.pass()));
  });
  afterEach(async () => {
    gate.open();
    await relay.close();
    await sql(database, 'truncate nestor.task_run, nestor.task_run_state');
  });

  const run = async (): Promise<StandaloneRun> =>
    (await sql<StandaloneRun>(database, 'select * from nestor.task_run where flow_run_id is null'))[0]!;
  const begun = async (call: () => Promise<unknown>): Promise<{ called: Promise<unknown> }> => {
    const called = call().catch((error: unknown) => error);
    await gate.reached;
    await waitFor(async () => (await run())?.state_type === 'RUNNING');
    return { called };
  };

  it('is held by its process until it has ended', async () => {
    const { called } = await begun(() => process.stage.act(1));
    expect(await run()).toMatchObject({ process_id: process.processId });
    gate.open();
    await called;
    expect(await run()).toMatchObject({ state_type: 'COMPLETED', process_id: null });
  });

  it('crashes when its process dies', async () => {
    await begun(() => process.stage.act(1));
    await process.die();
    await relay.start('other', undefined, { providers: [] });
    await waitFor(async () => (await run()).state_type === 'CRASHED');
    expect(await run()).toMatchObject({ process_id: null });
    expect(await stateNames(database, (await run()).id)).toEqual(['Pending', 'Running', 'Crashed']);
  });

  it('crashes once, when several processes find it', async () => {
    await begun(() => process.stage.act(1));
    await process.die();
    await Promise.all(['north', 'south', 'west'].map((name) => relay.start(name)));
    await waitFor(async () => (await run()).state_type === 'CRASHED');
    expect(await stateNames(database, (await run()).id)).toEqual(['Pending', 'Running', 'Crashed']);
  });

  it('is refused what it comes to, when its process was taken for dead and lives', async () => {
    const { called } = await begun(() => process.stage.act(1));
    await process.fence();
    await relay.start('other');
    await waitFor(async () => (await run()).state_type === 'CRASHED');
    gate.open();
    expect(await called).toBeInstanceOf(LeaseLostError);
    await process.settled();
    expect(await stateNames(database, (await run()).id)).toEqual(['Pending', 'Running', 'Crashed']);
    process.stage.perform = async () => 'again';
    expect(await process.stage.act(2)).toBe('again'); // under its new id
  });

  it('is not tried again once its process was taken for dead', async () => {
    process.stage.perform = () => gate.pass().then(() => Promise.reject(new Error('no')));
    const { called } = await begun(() => process.stage.actLater(1));
    await process.fence();
    await relay.start('other');
    await waitFor(async () => (await run()).state_type === 'CRASHED');
    gate.open();
    expect(await called).toBeInstanceOf(LeaseLostError);
    expect(process.stage.performed).toEqual(['actLater(1)']);
  });

  it('crashes when the shutdown waits for it no longer [F19]', async () => {
    await begun(() => process.stage.act(1));
    await process.app.close();
    expect(await stateNames(database, (await run()).id)).toEqual(['Pending', 'Running', 'Crashed']);
    expect(await run()).toMatchObject({ process_id: null });
  });
});
