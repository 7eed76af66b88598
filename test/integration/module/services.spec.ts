import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Deployments, Flow, FlowRuns, WorkPools, type OrchestratorOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Foreman } from '../../../libs/orchestrator/src/runtime/maintenance/foreman.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { makeDue, runsOf } from '../deployments/support/deployed.js';

@Injectable()
class Reports {
  @Flow({ name: 'report' })
  async write(): Promise<void> {}
}

@Injectable()
class Others {
  @Flow({ name: 'other' })
  async write(): Promise<void> {}
}

describe('services', () => {
  let database: TestDatabase;
  let apps: INestApplicationContext[];
  beforeEach(async () => {
    database = await testDatabase();
    apps = [];
  });
  afterEach(async () => {
    await Promise.all(apps.map((app) => app.close()));
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const start = async (
    options: Pick<OrchestratorOptions, 'services' | 'worker'>,
    provider: typeof Reports | typeof Others = Reports,
  ): Promise<INestApplicationContext> => {
    const app = await startApp({ url: database.url, app: 'reports', drain: '10ms', providers: [provider], ...options });
    apps.push(app);
    return app;
  };

  it('are done apart from the engine, and by several processes without doing anything twice [S25]', async () => {
    // Who executes runs and is asked for them does nothing for others.
    const worker = await start({ services: false });
    const { id } = await worker
      .get(Deployments)
      .save(Reports, 'write', { name: 'often', schedules: [{ interval: 1_000 }] });
    const { id: paused } = await worker.get(Deployments).save(Reports, 'write', { name: 'later' });
    const { id: late } = await worker.get(Deployments).run(paused, { in: '1h' });
    await worker.get(WorkPools).create('press');
    expect(await runsOf(database, id)).toEqual([]);

    // Neither of those executes anything, and both do all services.
    const others = await Promise.all([start({ worker: false }), start({ worker: false })]);
    const completed = await waitFor(async () => {
      const runs = (await runsOf(database, id)).slice(0, 4);
      return runs.length === 4 && runs.every((run) => run.state_type === 'COMPLETED') ? runs : null;
    }, 20_000);
    const all = await runsOf(database, id);
    expect(new Set(all.map((run) => run.expected_start_time.getTime())).size).toBe(all.length);
    expect(completed.every((run) => run.auto_scheduled)).toBe(true);
    const seconds = completed.map((run) => Math.floor(run.expected_start_time.getTime() / 1_000));
    expect(seconds.slice(1).map((second, index) => second - seconds[index]!)).toEqual(seconds.slice(1).map(() => 1));

    // A run that nobody takes is late, once.
    await apps.shift()!.close();
    await makeDue(database, [late], 16);
    const names = async (): Promise<string[]> => {
      const rows = await sql<{ name: string }>(
        database,
        'select name from nestor.flow_run_state where flow_run_id = $1 order by timestamp',
        [late],
      );
      return rows.map(({ name }) => name);
    };
    await waitFor(async () => (await names()).includes('Late'), 15_000);
    expect(await names()).toEqual(['Scheduled', 'Late']);

    // A pool that is served no more is told of once.
    await sql(
      database,
      `with pool as (update nestor.work_pool set status = 'READY' where name = 'press' returning id)
       insert into nestor.worker (id, work_pool_id, name, status, last_heartbeat_time)
       select gen_random_uuid(), id, 'gone', 'ONLINE', now() - interval '10 minutes' from pool`,
    );
    for (const other of others) other.get(Foreman).wake();
    await waitFor(async () => (await others[0].get(WorkPools).find('press'))?.status === 'NOT_READY');
    await Promise.all(others.map((other) => other.get(Foreman).stop()));
    const told = await sql(
      database,
      `select from nestor.event where event = 'prefect.work-pool.not-ready' and resource ->> 'prefect.resource.name' = 'press'`,
    );
    expect(told).toHaveLength(1);
  }, 60_000);

  it('are done by those processes alone that have them on', async () => {
    const marker = await start({ services: { lateRuns: true, scheduler: false }, worker: false }, Others);
    const { id } = await marker
      .get(Deployments)
      .save(Others, 'write', { name: 'often', schedules: [{ interval: 1_000 }] });
    const { id: late } = await marker.get(Deployments).run(id, { in: '1h' });
    await makeDue(database, [late], 16);
    await waitFor(async () => (await marker.get(FlowRuns).get(late)).stateName === 'Late', 15_000);
    expect((await runsOf(database, id)).map((run) => run.id)).toEqual([late]); // nobody makes those of its schedule
    await start({ services: { lateRuns: false }, worker: false }, Others);
    await waitFor(async () => (await runsOf(database, id)).length > 1, 15_000);
  }, 60_000);

  it.each<[OrchestratorOptions, string, RegExp]>([
    [{ services: { cron: true } as never }, 'INVALID_OPTION', /"services.cron" of OrchestratorModule is no service/],
    [
      { retention: { runs: '10s' } },
      'INVALID_OPTION',
      /"retention.runs" of OrchestratorModule is 10s and must be from 1m/,
    ],
    [
      { retention: { logs: 'a week' as never } },
      'INVALID_DURATION',
      /"retention.logs" of OrchestratorModule is "a week"/,
    ],
  ])('with options such as %j stop the start', async (options, code, message) => {
    const started = startApp({ url: database.url, ...options });
    await expect(started).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
