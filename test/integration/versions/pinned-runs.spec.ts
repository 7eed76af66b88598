import { Injectable } from '@nestjs/common';
import { Flow, FlowRuns, Flows } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { FlowRunClaimsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { FlowRegistry } from '../../../libs/orchestrator/src/runtime/registry/flow-registry.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

/** A flow in a certain build of the code. */
@Injectable()
class Pinned {
  script: () => Promise<unknown> = async () => 'done';

  @Flow({ name: 'pinned', pinToBuild: true })
  async play(): Promise<unknown> {
    return this.script();
  }
}

/** The same flow, where a later build has changed its mind. */
@Injectable()
class Unpinned extends Pinned {
  @Flow({ name: 'pinned' })
  override async play(): Promise<unknown> {
    return this.script();
  }
}

describe('a run that is pinned to the build that began it', () => {
  let database: TestDatabase;
  let relay: Relay;
  let gate: Gate;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(() => {
    relay = new Relay(database);
    gate = new Gate();
  });
  afterEach(async () => {
    gate.open();
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
  });

  const start = (buildId: string, type: typeof Pinned = Pinned, options: object = {}): Promise<RelayProcess> =>
    relay.start(buildId, undefined, { buildId, providers: [type], ...options });
  const pinOf = async (id: string): Promise<string | null> =>
    (
      await sql<{ pin: string | null }>(database, 'select pinned_build_id as pin from nestor.flow_run where id = $1', [
        id,
      ])
    )[0]!.pin;
  /** Begins a run in a process, which dies while it is under way. */
  const interrupt = async (process: RelayProcess, type: typeof Pinned = Pinned): Promise<string> => {
    process.get(type).script = () => gate.pass();
    const { id } = await process.get(Flows).start(type, 'play');
    await gate.reached;
    await process.settled();
    await process.die();
    await process.app.close();
    return id;
  };

  it('waits for a process of that build after an interruption, and says so', async () => {
    const old = await start('A');
    const id = await interrupt(old);
    const next = await start('B', Unpinned);
    await waitFor(async () => (await flowRunOf(database, id)).state_name === 'AwaitingResume');
    const runs = next.get(FlowRuns);
    const [reason] = (await runs.whyNotRunning(id)).reasons;
    expect(reason).toMatchObject({ code: 'BUILD_NOT_RUNNING', data: { buildId: 'A', running: ['B'] } });
    const again = await start('A');
    again.get(Pinned).script = async () => 'by A';
    expect(await runs.result(id, { timeout: '15s' })).toBe('by A');
  });

  it('is taken by any build while it has not begun, and is pinned to the one that begins it', async () => {
    const client = await start('A', Pinned, { worker: false });
    const { id } = await client.get(Flows).enqueue(Pinned, 'play');
    expect(await pinOf(id)).toBeNull();
    const next = await start('B');
    expect(await next.get(FlowRuns).result(id, { timeout: '15s' })).toBe('done');
    expect(await pinOf(id)).toBe('B');
  });

  it('goes on anywhere when its flow does not ask for it', async () => {
    const old = await start('A', Unpinned);
    const id = await interrupt(old, Unpinned);
    expect(await pinOf(id)).toBeNull();
    const next = await start('B');
    expect(await next.get(FlowRuns).result(id, { timeout: '15s' })).toBe('done');
  });

  it('does not keep processes of other builds looking for it again and again', async () => {
    const old = await start('A');
    const id = await interrupt(old);
    const next = await start('B', Unpinned);
    await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
    const claims = next.get(FlowRunClaimsRepository);
    const flowIds = next.get(FlowRegistry).allFlowIds();
    expect(await claims.nextFreeInMs({ app: relay.app, flowIds, buildId: 'B' })).toBeNull();
    expect(await claims.nextFreeInMs({ app: relay.app, flowIds, buildId: 'A' })).toBe(0);
  });
});
