import { Injectable, type INestApplicationContext, type Type } from '@nestjs/common';
import { Deployments, Flow, FlowRuns, WorkPools, type DeploymentOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { Foreman } from '../../../libs/orchestrator/src/runtime/maintenance/foreman.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf, waitingRunsOf } from './support/deployed.js';

function reports(...deployments: DeploymentOptions[]): Type {
  @Injectable()
  class Reports {
    @Flow({ name: 'report', deployments })
    async write({ of = 'nothing' }: { of?: string } = {}): Promise<string> {
      return of;
    }
  }
  return Reports;
}

describe('deployments in work pools', () => {
  let database: TestDatabase;
  const apps: INestApplicationContext[] = [];
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });
  afterAll(() => database.drop());

  const start = async (options: Omit<Parameters<typeof startApp>[0], 'url'>): Promise<INestApplicationContext> => {
    const app = await startApp({ url: database.url, app: 'reports', ...options });
    apps.push(app);
    return app;
  };

  it('are declared, many at once, and their runs are executed by who serves the pool alone [F22]', async () => {
    const provider = reports(
      { name: 'one', workPool: 'heavy', schedules: [{ interval: 1_000, parameters: { of: 'seconds' } }] },
      { name: 'two', workPool: { name: 'heavy', queue: 'slow' } },
    );
    const worker = await start({ providers: [provider], worker: { pools: ['heavy'], unqueued: false } });
    const deployments = worker.get(Deployments);
    const listed = await deployments.list({ flowName: 'report' });
    expect(listed).toMatchObject([
      { name: 'one', workPoolName: 'heavy', workQueueName: 'default' },
      { name: 'two', workPoolName: 'heavy', workQueueName: 'slow' },
    ]);
    await waitFor(async () => (await runsOf(database, listed[0]!.id)).some((run) => run.state_type === 'COMPLETED'));
    const run = await deployments.run('report/two', { parameters: { of: 'sales' } });
    expect(await run.result({ timeout: '10s' })).toBe('sales');
    await deployments.pause('report/one');
    await worker.close();
    apps.splice(0);

    const other = await start({ providers: [provider] });
    const waits = await other.get(Deployments).run('report/two');
    const direct = await other.get(Deployments).save(provider as never, 'write' as never, { name: 'three' });
    await (await other.get(Deployments).run(direct.id)).result({ timeout: '10s' });
    expect(await other.get(FlowRuns).get(waits.id)).toMatchObject({ stateType: 'SCHEDULED' });
    await other.get(Deployments).delete('report/one');
  });

  it('need a pool that is there, and variables that fit its template, when they are made and when they run [D04]', async () => {
    const app = await start({ providers: [reports()] });
    await expect(start({ providers: [reports({ name: 'x', workPool: 'none' })] })).rejects.toMatchObject({
      code: 'WORK_POOL_NOT_FOUND',
    });
    await app.get(WorkPools).create('checked', {
      baseJobTemplate: {
        job_configuration: { memory: '{{ memory }}' },
        variables: { type: 'object', properties: { memory: { type: 'integer' } } },
      },
    });
    const wrong = reports({ name: 'y', workPool: 'checked', jobVariables: { memory: 'much' } });
    await expect(start({ providers: [wrong] })).rejects.toMatchObject({ code: 'INVALID_JOB_VARIABLES' });
    const right = await start({
      providers: [reports({ name: 'y', workPool: 'checked', jobVariables: { memory: 5 } })],
    });
    await expect(right.get(Deployments).run('report/y', { jobVariables: { memory: 'much' } })).rejects.toMatchObject({
      code: 'INVALID_JOB_VARIABLES',
    });
  });

  describe('whose place is removed', () => {
    let provider: Type;
    let deployments: Deployments;
    let pools: WorkPools;
    let app: INestApplicationContext;
    let pool: string;
    let count = 0;
    beforeEach(async () => {
      pool = `removed-${(count += 1)}`;
      provider = reports();
      app = await start({ providers: [provider], app: pool, worker: false });
      deployments = app.get(Deployments);
      pools = app.get(WorkPools);
      await pools.create(pool);
    });

    const save = (schedules: { interval: '1h' }[] = [{ interval: '1h' }]) =>
      deployments.save(provider as never, 'write' as never, {
        name: pool,
        workPool: { name: pool, queue: 'nightly' },
        schedules,
      });
    const placeOf = async (id: string): Promise<unknown> => {
      const { workPoolName, workQueueName } = await deployments.get(id);
      return { workPoolName, workQueueName };
    };
    /** Where the runs that wait do so, each place once. */
    const queuesOf = (id: string): Promise<unknown[]> =>
      sql(
        database,
        `select distinct work_queue_id as id, work_queue_name as name from nestor.flow_run
          where deployment_id = $1 and state_type = 'SCHEDULED'`,
        [id],
      );
    const queue = async (name: string): Promise<unknown> => ({ id: (await pools.getQueue(pool, name)).id, name });
    const scheduled = (id: string) => waitFor(async () => (await waitingRunsOf(database, id)).length >= 3);

    it('have the runs that come later wait with those that are there, in the default queue of the pool', async () => {
      const { id } = await save();
      await scheduled(id);
      await deployments.run(id);
      expect(await queuesOf(id)).toEqual([await queue('nightly')]);
      await pools.deleteQueue(pool, 'nightly');
      expect(await placeOf(id)).toEqual({ workPoolName: pool, workQueueName: 'default' });
      await deployments.run(id);
      await deployments.pause(id);
      await deployments.resume(id); // its schedule makes its runs anew
      await scheduled(id);
      expect(await queuesOf(id)).toEqual([await queue('default')]);
    });

    it('get their queue again where somebody names it, at once, and by an earlier version', async () => {
      const { id } = await save();
      await pools.deleteQueue(pool, 'nightly');
      await save();
      await deployments.run(id);
      expect(await queuesOf(id)).toEqual([await queue('nightly')]);
      await pools.deleteQueue(pool, 'nightly');
      await deployments.rollBack(id, 1);
      expect(await placeOf(id)).toEqual({ workPoolName: pool, workQueueName: 'nightly' });
      await deployments.run(id);
      expect(await queuesOf(id)).toEqual(expect.arrayContaining([await queue('default'), await queue('nightly')]));
    });

    it('have their runs wait in no pool when theirs is removed, until they are put into one again', async () => {
      const { id } = await save();
      await pools.delete(pool);
      expect(await placeOf(id)).toEqual({ workPoolName: null, workQueueName: null });
      await scheduled(id);
      await deployments.run(id);
      expect(await queuesOf(id)).toEqual([{ id: null, name: null }]);
      await expect(deployments.rollBack(id, 1)).rejects.toMatchObject({ code: 'WORK_POOL_NOT_FOUND' });
      await pools.create(pool);
      await deployments.rollBack(id, 1);
      expect(await placeOf(id)).toEqual({ workPoolName: pool, workQueueName: 'nightly' });
      await deployments.run(id);
      expect(await queuesOf(id)).toContainEqual(await queue('nightly'));
    });

    it('take in those of their runs that were in a queue which is gone', async () => {
      const { id } = await save([]);
      await deployments.run(id);
      // As that of a run whose queue was removed while it was executed, and that is to be executed again.
      await sql(database, 'update nestor.flow_run set work_queue_id = $2 where deployment_id = $1', [id, newId()]);
      app.get(Foreman).wake();
      const place = await queue('nightly');
      await waitFor(async () => JSON.stringify(await queuesOf(id)) === JSON.stringify([place]));
    });
  });
});
