import { Injectable, type INestApplicationContext, type Type } from '@nestjs/common';
import { Deployments, Flow, FlowRuns, WorkPools, type DeploymentOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf } from './support/deployed.js';

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
});
