import { Injectable } from '@nestjs/common';
import { ConcurrencyLimits, Flow, FlowRuns, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import type { FlowDefinition } from '../../../libs/orchestrator/src/runtime/registry/definitions.js';
import { FlowRegistry } from '../../../libs/orchestrator/src/runtime/registry/flow-registry.js';
import { ScheduledRuns } from '../../../libs/orchestrator/src/runtime/scheduling/scheduled-runs.service.js';
import { startApp } from '../../support/app.js';
import { CompiledProgram } from '../../support/compiled-program.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { MortalProcess } from '../replay/support/mortal-process.js';
import type { DeployedOrder } from './support/deployed-program.js';
import { checkAtEveryCommit, leftovers, NOTHING } from './support/limits.js';

/** The same flow as that of the program, which ends. */
@Injectable()
class Held {
  activeBefore = 0;
  look: () => Promise<number> = async () => 0;

  @Flow({ name: 'held' })
  async held(): Promise<string> {
    this.activeBefore = await this.look();
    return this.hold();
  }

  @Task({ tags: ['held'] })
  async hold(): Promise<string> {
    return 'taken over';
  }
}

describe('a process that is killed while its runs and its code hold slots', () => {
  let database: TestDatabase;
  let program: CompiledProgram;
  beforeAll(async () => {
    program = new CompiledProgram('test/integration/concurrency/support/deployed-program.ts');
    database = await testDatabase();
    await checkAtEveryCommit(database);
    // Nobody counts as dead within one lease of a start of the server, and it may have been started for this file.
    const settledDown = `select clock_timestamp() - pg_postmaster_start_time() > interval '10.1 seconds' as yes`;
    await waitFor(async () => (await sql<{ yes: boolean }>(database, settledDown))[0]!.yes, 15_000);
  }, 30_000);
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
    program.remove();
  });

  it('loses the slots of its code, not those of its runs, which they keep until they end [G09] [D06]', async () => {
    const options = { url: database.url, app: 'held', providers: [Held] };
    const client = await startApp({ ...options, worker: false });
    const limits = client.get(ConcurrencyLimits);
    for (const name of ['held', 'tag:held']) await limits.create(name, { limit: 1 });
    const deploymentId = newId();
    await sql(
      database,
      `insert into nestor.deployment (id, flow_id, app, name, concurrency_limit) values ($1, $2, 'held', 'held', 1)`,
      [deploymentId, client.get(FlowRegistry).flowId('held')],
    );
    const scheduled = client.get(ScheduledRuns);
    const flow = scheduled.flowOf(client.get(FlowRegistry).find(Held, 'held') as FlowDefinition);
    const request = { parameters: {}, tags: [], scheduledTime: null, origin: { deploymentId } };
    const mortal = MortalProcess.start<DeployedOrder>(program, { url: database.url, app: 'held' });
    const [first, second] = [await scheduled.create(flow, request), await scheduled.create(flow, request)];
    await mortal.waiting();
    await waitFor(async () => (await limits.get(`deployment:${deploymentId}`)).waiting === 1);
    const inUse = async (name: string): Promise<number> => (await limits.get(name)).activeSlots;
    expect([await inUse('held'), await inUse('tag:held'), await inUse(`deployment:${deploymentId}`)]).toEqual([
      1, 1, 1,
    ]);
    await mortal.kill();

    // Code loses its slots with its process. Nobody executes runs here, so that the run waits, and keeps its own.
    await waitFor(async () => (await inUse('held')) + (await inUse('tag:held')) === 0, 15_000);
    await waitFor(async () => (await stateNames(database, first.id)).at(-1) === 'AwaitingResume', 15_000);
    expect(await limits.get(`deployment:${deploymentId}`)).toMatchObject({ activeSlots: 1, waiting: 1 });
    expect(await limits.slots(`deployment:${deploymentId}`)).toMatchObject([{ number: 1, flowRunId: first.id }]);

    const peer = await startApp(options);
    try {
      peer.get(Held).look = () => inUse(`deployment:${deploymentId}`);
      const runs = peer.get(FlowRuns);
      expect(await runs.result(first.id, { timeout: '15s' })).toBe('taken over');
      expect(await runs.result(second.id, { timeout: '15s' })).toBe('taken over');
      expect(peer.get(Held).activeBefore).toBe(1);
      expect(await leftovers(database)).toEqual(NOTHING);
    } finally {
      await Promise.all([peer.close(), client.close()]);
    }
  }, 90_000);
});
