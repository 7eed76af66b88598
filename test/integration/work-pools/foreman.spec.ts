import { Injectable } from '@nestjs/common';
import { BaseWorker, Flows, WorkPools, type JobEnd } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { Foreman } from '../../../libs/orchestrator/src/runtime/maintenance/foreman.service.js';
import { FlowRegistry } from '../../../libs/orchestrator/src/runtime/registry/flow-registry.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, stateNames } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

/** Its infrastructure never says anything. */
@Injectable()
class SilentWorker extends BaseWorker {
  readonly type = 'silent';
  readonly gate = new Gate();
  kills = 0;

  async run({ started }: Parameters<BaseWorker['run']>[0]): Promise<JobEnd> {
    await started('somewhere');
    await this.gate.pass();
    return { exitCode: 0 };
  }

  async kill(): Promise<void> {
    this.kills += 1;
  }
}

describe('who is there is looked after', () => {
  let database: TestDatabase;
  let relay: Relay;
  let pool: string;
  let count = 0;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(() => {
    relay = new Relay(database);
    pool = `pool-${(count += 1)}`;
  });
  afterEach(() => relay.close());

  const eventsAbout = async (name: string): Promise<string[]> =>
    (
      await sql<{ event: string }>(
        database,
        `select event from nestor.event where resource ->> 'prefect.resource.name' = $1 order by occurred, id`,
        [name],
      )
    ).map(({ event }) => event);
  const served = async (): Promise<RelayProcess> => {
    const worker = await relay.start('worker', undefined, {
      worker: { pools: [{ name: pool, queues: [`${pool}-q`] }] },
    });
    await waitFor(async () => (await worker.get(WorkPools).find(pool))?.status === 'READY');
    return worker;
  };
  /** Lets time pass for what the worker last said. */
  const age = (seconds: number): Promise<unknown> =>
    sql(
      database,
      `with worker as (
         update nestor.worker set last_heartbeat_time = last_heartbeat_time - $1 * interval '1 second'
       )
       update nestor.work_queue set last_polled = last_polled - $1 * interval '1 second' where name = $2`,
      [seconds, `${pool}-q`],
    );

  it('a worker that misses three heartbeats is gone, and its pool is not ready [S14]', async () => {
    const worker = await served();
    const pools = worker.get(WorkPools);
    await age(80);
    worker.get(Foreman).wake();
    await waitFor(async () => (await pools.getQueue(pool, `${pool}-q`)).status === 'NOT_READY');
    expect(await pools.workers(pool)).toMatchObject([{ status: 'ONLINE' }]);
    await age(11);
    worker.get(Foreman).wake();
    await waitFor(async () => (await pools.get(pool)).status === 'NOT_READY');
    expect(await pools.workers(pool)).toMatchObject([{ status: 'OFFLINE' }]);
    expect(await eventsAbout(pool)).toEqual([
      ...['prefect.work-pool.created', 'prefect.work-pool.ready'],
      'prefect.work-pool.not-ready',
    ]);
  });

  it('a queue that nobody asks for runs of for a minute is not ready [S15]', async () => {
    const worker = await served();
    const queue = (): Promise<{ status: string }> => worker.get(WorkPools).getQueue(pool, `${pool}-q`);
    await waitFor(async () => (await queue()).status === 'READY');
    await age(50);
    worker.get(Foreman).wake();
    await worker.get(Foreman).stop();
    expect(await queue()).toMatchObject({ status: 'READY' });
    await age(11);
    const other = await relay.start('other', undefined, { worker: false });
    other.get(Foreman).wake();
    await waitFor(async () => (await queue()).status === 'NOT_READY');
    expect(await eventsAbout(`${pool}-q`)).toEqual([
      ...['prefect.work-queue.created', 'prefect.work-queue.ready'],
      'prefect.work-queue.not-ready',
    ]);
  });

  it('a deployment is as ready as its queue, or as its application [S15]', async () => {
    const worker = await served();
    const flowId = worker.get(FlowRegistry).flowId('play');
    const queueId = await worker.get(WorkPools).queueIdFor(pool, `${pool}-q`);
    const deployment = async (name: string, of: string | null): Promise<void> => {
      await sql(
        database,
        `insert into nestor.deployment (id, app, flow_id, name, work_queue_id) values ($1, $2, $3, $4, $5)`,
        [newId(), relay.app, flowId, name, of],
      );
    };
    await deployment(`${pool}-queued`, queueId);
    await deployment(`${pool}-free`, null);
    const statuses = async (): Promise<unknown[]> =>
      (
        await sql<{ status: string }>(
          database,
          'select status from nestor.deployment where name like $1 order by name desc',
          [`${pool}-%`],
        )
      ).map(({ status }) => status);
    worker.get(Foreman).wake();
    await waitFor(async () => String(await statuses()) === 'READY,READY');
    await age(61);
    worker.get(Foreman).wake();
    await waitFor(async () => String(await statuses()) === 'NOT_READY,READY');
    await worker.app.close();
    await new Relay(database).start('stranger', undefined, { worker: false }).then(async (stranger) => {
      stranger.get(Foreman).wake();
      await waitFor(async () => String(await statuses()) === 'NOT_READY,NOT_READY');
      await stranger.app.close();
    });
    expect(await eventsAbout(`${pool}-queued`)).toEqual(['prefect.deployment.ready', 'prefect.deployment.not-ready']);
  });

  it('a run that is submitted and does not begin is taken back, until it is given up [W19]', async () => {
    const silent = new SilentWorker();
    const worker = await relay.start('worker', undefined, {
      worker: { pools: [{ name: pool, type: 'silent', limit: 1 }], unqueued: false },
      pendingTimeout: '1s',
      maxRecoveries: 0,
      providers: [
        { provide: Stage, useFactory: () => new Stage() },
        { provide: SilentWorker, useValue: silent },
      ],
    });
    await waitFor(async () => (await worker.get(WorkPools).find(pool)) !== null);
    const { id } = await worker.get(Flows).with({ workPool: pool }).enqueue(Stage, 'play');
    await silent.gate.reached;
    await waitFor(async () => {
      worker.get(Foreman).wake();
      return (await flowRunOf(database, id)).state_type === 'CRASHED';
    });
    expect(await stateNames(database, id)).toEqual(['Scheduled', 'Pending', 'Submitting', 'Crashed']);
    await waitFor(() => silent.kills > 0);
    silent.gate.open();
  });

  it('a run that waits in a queue that is gone is freed', async () => {
    const client = await relay.start('client', undefined, { worker: false });
    await client.get(WorkPools).create(pool);
    const { id } = await client.get(Flows).with({ workPool: pool }).enqueue(Stage, 'play');
    await sql(database, 'update nestor.flow_run set work_queue_id = gen_random_uuid() where id = $1', [id]);
    client.get(Foreman).wake();
    await waitFor(async () => {
      const [row] = await sql<{ free: boolean }>(
        database,
        'select work_queue_id is null as free from nestor.flow_run where id = $1',
        [id],
      );
      return row!.free;
    });
    const worker = await relay.start('worker', (stage) => (stage.script = async () => stage.owner));
    expect(await worker.result(id)).toBe('worker');
  });
});
