import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLimits, Flow, FlowRuns, RunControl } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { parametersOf } from '../../../libs/orchestrator/src/runtime/engine/parameters.js';
import type { FlowDefinition } from '../../../libs/orchestrator/src/runtime/registry/definitions.js';
import { FlowRegistry } from '../../../libs/orchestrator/src/runtime/registry/flow-registry.js';
import { ScheduledRuns } from '../../../libs/orchestrator/src/runtime/scheduling/scheduled-runs.service.js';
import { bestOf } from '../../support/best-of.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { checkAtEveryCommit, leftovers, NOTHING } from './support/limits.js';

@Injectable()
class Deployed {
  running = 0;
  most = 0;
  readonly begun: number[] = [];
  work: (number: number) => Promise<unknown> = async () => undefined;

  @Flow({ name: 'deployed', retries: 1, retryDelay: '50ms' })
  async deployed({ number }: { number: number }): Promise<unknown> {
    this.running += 1;
    this.most = Math.max(this.most, this.running);
    this.begun.push(number);
    try {
      return await this.work(number);
    } finally {
      this.running -= 1;
    }
  }
}

type Strategy = 'ENQUEUE' | 'CANCEL_NEW' | 'CANCEL_RUNNING' | 'REPLACE_PENDING';

describe('the limit of a deployment', () => {
  let database: TestDatabase;
  let apps: INestApplicationContext[];
  let limits: ConcurrencyLimits;
  let runs: FlowRuns;
  let deployed: Deployed[];
  beforeAll(async () => {
    database = await testDatabase();
    const options = { url: database.url, app: 'deployed', cancelGrace: '50ms' as const, drain: '10ms' as const };
    apps = await Promise.all([0, 1].map(() => startApp({ ...options, providers: [Deployed] })));
    await checkAtEveryCommit(database);
    limits = apps[0]!.get(ConcurrencyLimits);
    runs = apps[0]!.get(FlowRuns);
    deployed = apps.map((app) => app.get(Deployed));
  });
  beforeEach(() => {
    for (const one of deployed) {
      Object.assign(one, { running: 0, most: 0, work: async () => undefined });
      one.begun.length = 0;
    }
  });
  afterEach(async () => {
    await waitFor(async () => JSON.stringify(await leftovers(database)) === JSON.stringify(NOTHING));
  });
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await Promise.all(apps.map((app) => app.close()));
    await database.drop();
  });

  const definition = (): FlowDefinition => apps[0]!.get(FlowRegistry).find(Deployed, 'deployed') as FlowDefinition;
  const deploy = async (limit: number | null, strategy: Strategy = 'ENQUEUE'): Promise<string> => {
    const id = newId();
    await sql(
      database,
      `insert into nestor.deployment (id, flow_id, app, name, concurrency_limit, concurrency_options)
       values ($1::uuid, $2, 'deployed', 'd-' || $1::uuid, $3, jsonb_build_object('collision_strategy', $4::text))`,
      [id, apps[0]!.get(FlowRegistry).flowId('deployed'), limit, strategy],
    );
    return id;
  };
  const enqueue = async (deploymentId: string, number: number): Promise<string> => {
    const scheduled = apps[0]!.get(ScheduledRuns);
    const parameters = parametersOf([{ number }]);
    const request = { parameters, tags: [], scheduledTime: null, origin: { deploymentId } };
    return (await scheduled.create(scheduled.flowOf(definition()), request)).id;
  };
  const begun = (): number[] => deployed.flatMap((one) => one.begun);
  const isRunning = async (id: string): Promise<boolean> => (await runs.get(id)).stateName === 'Running';
  const isParked = async (id: string): Promise<boolean> => (await runs.get(id)).stateName === 'AwaitingConcurrencySlot';

  /** Lets runs go on until they are told to end. */
  const untilTold = (): ((number: number) => void) => {
    const tells = new Map<number, () => void>();
    for (const one of deployed) one.work = (number) => new Promise<void>((resolve) => tells.set(number, resolve));
    return (number) => tells.get(number)!();
  };

  it('is never exceeded, and its runs begin in order, each as soon as there is a slot [D06] [D07]', async () => {
    const id = await deploy(2);
    for (const one of deployed) one.work = async (number) => pause(20, number);
    const ids: string[] = [];
    for (let number = 0; number < 12; number += 1) ids.push(await enqueue(id, number));
    const results = await Promise.all(ids.map((run) => runs.result(run, { timeout: '20s' })));
    expect(results).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    for (const { most } of deployed) expect(most).toBeLessThanOrEqual(2); // of both together the trigger says so
    expect(await limits.get(`deployment:${id}`)).toMatchObject({ limit: 2, activeSlots: 0, waiting: 0 });
  }, 30_000);

  it('hands a slot on in order and at once, and holds nobody up whose deployment has slots [D07]', async () => {
    const id = await deploy(1);
    const tell = untilTold();
    const slowest = async (): Promise<number> => {
      const first = await enqueue(id, 0);
      await waitFor(() => isRunning(first));
      const waiting: string[] = [];
      for (const number of [1, 2, 3]) {
        const run = await enqueue(id, number);
        await waitFor(() => isParked(run));
        waiting.push(run);
      }
      const free = await enqueue(await deploy(null), 10);
      await waitFor(() => isRunning(free));
      tell(10);
      const times: number[] = [];
      for (const [index, run] of waiting.entries()) {
        const told = performance.now();
        tell(index);
        await waitFor(() => isRunning(run)); // and no other: there is one slot
        times.push(performance.now() - told);
      }
      const [slot] = await limits.slots(`deployment:${id}`);
      expect(slot).toMatchObject({ flowRunId: waiting[2], processId: null });
      tell(3);
      expect(await stateNames(database, waiting[0]!)).toEqual([
        ...['Scheduled', 'AwaitingConcurrencySlot', 'Scheduled', 'Pending', 'Running', 'Completed'],
      ]);
      return Math.max(...times);
    };
    expect(await bestOf(1_000, slowest)).toBeLessThan(1_000);
  }, 30_000);

  it('cancels a new run with CANCEL_NEW [D08]', async () => {
    const id = await deploy(1, 'CANCEL_NEW');
    const tell = untilTold();
    const first = await enqueue(id, 0);
    await waitFor(() => isRunning(first));
    const second = await enqueue(id, 1);
    await expect(runs.result(second, { timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    expect(await stateNames(database, second)).toEqual(['Scheduled', 'Cancelled']);
    tell(0);
    await runs.result(first);
    const third = await enqueue(id, 2);
    await waitFor(() => isRunning(third));
    tell(2);
  });

  it('cancels the oldest that runs with CANCEL_RUNNING, and then the new one starts [D10]', async () => {
    const id = await deploy(1, 'CANCEL_RUNNING');
    const tell = untilTold();
    const first = await enqueue(id, 0);
    await waitFor(() => isRunning(first));
    const second = await enqueue(id, 1);
    await expect(runs.result(first, { timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    await waitFor(() => isRunning(second));
    tell(1);
    await runs.result(second);
  });

  it('replaces those that wait with REPLACE_PENDING [D10]', async () => {
    const id = await deploy(1, 'REPLACE_PENDING');
    const tell = untilTold();
    const first = await enqueue(id, 0);
    await waitFor(() => isRunning(first));
    const second = await enqueue(id, 1);
    await waitFor(() => isParked(second));
    const third = await enqueue(id, 2);
    await expect(runs.result(second, { timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    tell(0);
    await waitFor(() => isRunning(third));
    tell(2);
    await runs.result(third);
    expect(begun().sort()).toEqual([0, 2]);
  });

  it('lets go of the place of a run that is cancelled while it waits', async () => {
    const id = await deploy(1);
    const tell = untilTold();
    const first = await enqueue(id, 0);
    await waitFor(() => isRunning(first));
    const second = await enqueue(id, 1);
    await waitFor(() => isParked(second));
    await apps[0]!.get(RunControl).cancel(second);
    expect(await limits.get(`deployment:${id}`)).toMatchObject({ activeSlots: 1, waiting: 0 });
    tell(0);
    await runs.result(first);
  });

  it('lets go of the place of a run that is deleted while it waits, and of none that is executed [D12]', async () => {
    const id = await deploy(1);
    const tell = untilTold();
    const first = await enqueue(id, 0);
    await waitFor(() => isRunning(first));
    const [second, third] = [await enqueue(id, 1), await enqueue(id, 2)];
    for (const run of [second, third]) await waitFor(() => isParked(run));
    const { deleted, refused } = await runs.deleteMany([first, second]);
    expect(deleted).toEqual([second]);
    expect(refused).toMatchObject([{ code: 'FLOW_RUN_ACTIVE', flowRunId: first, stateType: 'RUNNING' }]);
    expect(await limits.get(`deployment:${id}`)).toMatchObject({ activeSlots: 1, waiting: 1 });
    tell(0);
    await waitFor(() => isRunning(third));
    tell(2);
    await runs.result(third);
    await runs.delete(first);
    expect(begun().sort()).toEqual([0, 2]);
  });

  it('keeps the slot of a run while it waits for its next attempt, and while it is paused', async () => {
    const id = await deploy(1);
    const tell = untilTold();
    const hold = deployed.map(({ work }) => work);
    let failures = 0;
    deployed.forEach((one, index) => {
      one.work = async (number) => {
        failures += 1;
        if (failures === 1) throw new Error('once');
        return hold[index]!(number);
      };
    });
    const first = await enqueue(id, 0);
    const second = await enqueue(id, 1);
    await waitFor(async () => failures === 2 && (await isParked(second)));
    const control = apps[0]!.get(RunControl);
    await control.pause(first);
    await waitFor(async () => (await runs.get(first)).stateName === 'Paused');
    expect(await limits.get(`deployment:${id}`)).toMatchObject({ activeSlots: 1, waiting: 1 });
    await control.resume(first);
    await waitFor(() => isRunning(first));
    expect(begun()).toEqual([0, 0]);
    tell(0);
    await runs.result(first);
    await waitFor(() => isRunning(second));
    tell(1);
    await runs.result(second);
  });

  it('that is raised, or taken away, lets those in who wait', async () => {
    const id = await deploy(1);
    const tell = untilTold();
    const ids: string[] = [];
    for (const number of [0, 1, 2]) ids.push(await enqueue(id, number));
    await waitFor(async () => (await limits.find(`deployment:${id}`))?.waiting === 2);
    await sql(database, 'update nestor.deployment set concurrency_limit = 2 where id = $1', [id]);
    await waitFor(() => begun().length === 2);
    await sql(database, 'update nestor.deployment set concurrency_limit = null where id = $1', [id]);
    await waitFor(() => begun().length === 3);
    for (const number of [0, 1, 2]) tell(number);
    await Promise.all(ids.map((run) => runs.result(run)));
  }, 20_000);

  it('that is raised lets those in who wait, also where whoever claims a run has noticed it first', async () => {
    const id = await deploy(1);
    const tell = untilTold();
    const ids: string[] = [];
    for (const number of [0, 1, 2]) ids.push(await enqueue(id, number));
    await waitFor(async () => (await limits.find(`deployment:${id}`))?.waiting === 2);
    const [first] = begun();
    await sql(
      database,
      `do $$ begin
         update nestor.deployment set concurrency_limit = 2 where id = '${id}';
         perform nestor.fair_lock_limits(array['${id}'::uuid], array[null]);
       end $$`,
    );
    await waitFor(() => begun().length === 2);
    tell(first!);
    await waitFor(() => begun().length === 3);
    for (const number of begun().slice(1)) tell(number);
    await Promise.all(ids.map((run) => runs.result(run)));
  }, 20_000);
});
