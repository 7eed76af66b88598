import { Injectable } from '@nestjs/common';
import {
  concurrency,
  ConcurrencyLimits,
  rateLimit,
  Flow,
  FlowRunNotFoundError,
  FlowRuns,
  Flows,
  pause,
  PayloadCodecUnknownError,
  WorkPools,
  type RunReason,
} from '@nestor/orchestrator';
import { parseInstant } from '@nestor/core';
import { IsString } from 'class-validator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Elsewhere {
  @Flow()
  async playElsewhere(): Promise<void> {}
}

/** What a person has to say for a run to go on. */
class Approval {
  @IsString()
  by!: string;
}

describe('why a run is not running', () => {
  let database: TestDatabase;
  let relay: Relay;
  let gate: Gate;
  let pool: string;
  let count = 0;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(() => {
    relay = new Relay(database);
    gate = new Gate();
    pool = `pool-${(count += 1)}`;
  });
  afterEach(async () => {
    gate.open();
    await relay.close();
  });

  const reasonsOf = async (process: RelayProcess, id: string): Promise<readonly RunReason[]> =>
    (await process.get(FlowRuns).whyNotRunning(id)).reasons;
  const codesOf = async (process: RelayProcess, id: string): Promise<string[]> =>
    (await reasonsOf(process, id)).map(({ code }) => code);
  const enqueue = async (client: RelayProcess, options: object = {}): Promise<string> => {
    const { id } = await client.get(Flows).with(options).enqueue(Stage, 'play');
    return id;
  };
  /** A process that is alive, has the flows and takes nothing. */
  const startClient = (options: object = {}): Promise<RelayProcess> =>
    relay.start('client', undefined, { worker: false, ...options });
  /** A process of another application, which can be asked when none of this one lives. */
  const startStranger = (): Promise<RelayProcess> =>
    relay.start('stranger', undefined, { app: `${relay.app}-stranger` });

  it('is that it is running, in which process and since when; and then that it has ended', async () => {
    const process = await relay.start('one', (stage) => (stage.script = () => gate.pass()), { buildId: 'v1' });
    const id = await process.begin('play');
    await gate.reached;
    await waitFor(async () => (await process.get(FlowRuns).get(id)).stateName === 'Running');
    expect(await process.get(FlowRuns).whyNotRunning(id)).toMatchObject({
      ...{ flowRunId: id, flowName: 'play', stateType: 'RUNNING' },
      reasons: [{ code: 'RUNNING', blocks: false, data: { process: { id: process.processId, buildId: 'v1' } } }],
    });
    gate.open();
    await process.result(id);
    expect(await reasonsOf(process, id)).toMatchObject([{ code: 'ENDED', data: { stateName: 'Completed' } }]);
    await expect(process.get(FlowRuns).whyNotRunning(newId())).rejects.toThrow(FlowRunNotFoundError);
  });

  it('is that it waits for its time, or for its next attempt', async () => {
    const process = await relay.start('one', (stage) => (stage.script = () => Promise.reject(new Error('no'))));
    const later = await enqueue(process, { at: new Date(Date.now() + 3_600_000) });
    expect(await codesOf(process, later)).toEqual(['SCHEDULED_LATER']);
    const again = await process.begin('playLater');
    await waitFor(async () => (await process.get(FlowRuns).get(again)).stateName === 'AwaitingRetry');
    const [reason] = await reasonsOf(process, again);
    expect(reason).toMatchObject({ code: 'AWAITING_RETRY', data: { attempt: 1, at: expect.any(Number) as number } });
  });

  it('is that it is paused, and for what it asks', async () => {
    const process = await relay.start(
      'one',
      (stage) => (stage.script = () => pause({ input: Approval, timeout: '1h' })),
    );
    const id = await process.begin('play');
    await waitFor(async () => (await process.get(FlowRuns).get(id)).stateName === 'Paused');
    expect(await reasonsOf(process, id)).toMatchObject([
      {
        code: 'PAUSED',
        blocks: true,
        data: {
          leftProcess: false,
          asksFor: { properties: { by: { type: 'string' } } },
          until: expect.any(Number) as number,
        },
      },
    ]);
  });

  it('is not half of an answer when this process cannot read for what it asks', async () => {
    const reversed = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes).reverse();
    const process = await relay.start(
      'one',
      (stage) => (stage.script = () => pause({ input: Approval, timeout: '1h' })),
      { payloads: { codec: { name: 'backwards', encode: reversed, decode: reversed } } },
    );
    const id = await process.begin('play');
    await waitFor(async () => (await process.get(FlowRuns).get(id)).stateName === 'Paused');
    const client = await startClient();
    await expect(client.get(FlowRuns).whyNotRunning(id)).rejects.toThrow(PayloadCodecUnknownError);
  });

  it('is that its pool or its queue is paused, or used up by others, and by which', async () => {
    const worker = await relay.start('worker', (stage) => (stage.script = () => gate.pass()), {
      worker: { pools: [pool] },
    });
    const pools = worker.get(WorkPools);
    await waitFor(async () => (await pools.find(pool)) !== null);
    await pools.update(pool, { concurrencyLimit: 1 });
    const first = await enqueue(worker, { workPool: pool });
    await gate.reached;
    const second = await enqueue(worker, { workPool: pool });
    expect(await reasonsOf(worker, second)).toMatchObject([
      { code: 'POOL_FULL', data: { pool, limit: 1, heldBy: [{ id: first }] } },
    ]);
    await pools.update(pool, { paused: true });
    await pools.updateQueue(pool, 'default', { paused: true, concurrencyLimit: 1 });
    expect(await codesOf(worker, second)).toEqual(['POOL_PAUSED', 'QUEUE_PAUSED', 'POOL_FULL', 'QUEUE_FULL']);
  });

  it('is that nobody lives who could take it, and what is missing', async () => {
    const client = await startClient();
    await client.get(WorkPools).createIfAbsent(pool);
    const [unqueued, queued] = [await enqueue(client), await enqueue(client, { workPool: pool })];
    expect(await reasonsOf(client, unqueued)).toMatchObject([{ code: 'NO_WORKER', data: { pool: null } }]);
    expect(await reasonsOf(client, queued)).toMatchObject([{ code: 'NO_WORKER', data: { pool, queue: 'default' } }]);

    const stranger = await startStranger();
    await client.app.close();
    expect(await reasonsOf(stranger, queued)).toMatchObject([{ code: 'NO_PROCESS', data: { app: relay.app } }]);
    await relay.start('without the flow', undefined, { providers: [Elsewhere] });
    expect(await reasonsOf(stranger, queued)).toMatchObject([{ code: 'FLOW_NOT_REGISTERED', data: { flow: 'play' } }]);
  });

  it('is that its pool is of a type that none of those serves who serve the pool', async () => {
    const client = await startClient();
    await client.get(WorkPools).create(pool, { type: 'nest-process' });
    const worker = await relay.start('worker', undefined, { worker: { pools: [pool] } });
    await waitFor(async () => (await client.get(WorkPools).workers(pool)).length === 1);
    const id = await enqueue(client, { workPool: pool });
    expect(await reasonsOf(client, id)).toMatchObject([
      {
        ...{ code: 'NO_WORKER', blocks: true, data: { pool, queue: 'default' } },
        message: expect.stringContaining('which is of type "nest-process"') as string,
      },
    ]);
    // One with older code does not say which type it serves: it counts as able.
    await sql(database, `update nestor.process set serves = serves #- '{pools,0,type}' where id = $1`, [
      worker.processId,
    ]);
    expect(await reasonsOf(client, id)).toMatchObject([
      { code: 'DUE', data: { processes: [{ id: worker.processId }] } },
    ]);
  });

  it('is that all who could take it are busy, and which runs go first', async () => {
    const worker = await relay.start('worker', (stage) => (stage.script = () => gate.pass()), { worker: { limit: 1 } });
    await enqueue(worker);
    await gate.reached;
    const [next, last] = [await enqueue(worker), await enqueue(worker)];
    expect(await codesOf(worker, next)).toEqual(['WORKERS_BUSY']);
    expect(await reasonsOf(worker, last)).toMatchObject([
      { code: 'WORKERS_BUSY', data: { processes: [{ id: worker.processId, runs: 1, limit: 1 }] } },
      { code: 'OTHERS_FIRST', data: { count: 1 } },
    ]);
  });

  it('is that its code waits for slots of a limit, which others hold, or for a rate', async () => {
    const limits = (await startClient()).get(ConcurrencyLimits);
    await limits.create('slots', { limit: 1 });
    await limits.create('rate', { limit: 1, slotDecayPerSecond: 0.01 });
    const process = await relay.start('one', (stage) => {
      stage.script = async (name) => concurrency(name as string, () => gate.pass());
    });
    const first = await process.begin('play', 'slots');
    await gate.reached;
    const second = await process.begin('play', 'slots');
    await waitFor(async () => (await limits.get('slots')).waiting === 1);
    expect(await reasonsOf(process, second)).toMatchObject([
      { code: 'RUNNING' },
      {
        code: 'AWAITING_SLOTS',
        data: { limit: 'slots', allowed: 1, slots: 1, ahead: 0, heldBy: [{ flowRunId: first, slots: 1 }] },
      },
    ]);
    process.stage.script = () => rateLimit('rate');
    await process.result(await process.begin('play'));
    const third = await process.begin('play');
    await waitFor(async () => (await limits.get('rate')).waiting === 1);
    const [, rate] = await reasonsOf(process, third);
    expect(rate).toMatchObject({
      code: 'AWAITING_RATE',
      data: { limit: 'rate', refillsAt: expect.any(Number) as number },
    });
    await process.control.cancel(third);
  });

  it('is that it awaits its turn, and behind which run of its schedule', async () => {
    const client = await startClient();
    const [one, other] = [await enqueue(client), await enqueue(client)];
    await sql(database, 'update nestor.flow_run set schedule_id = $1, awaits_turn = true where id = any($2)', [
      newId(),
      [one, other],
    ]);
    const reasons = await reasonsOf(client, other);
    expect(reasons[0]).toMatchObject({ code: 'AWAITING_TURN', data: { behind: [{ id: one }] } });
  });

  it('is that its process gives no sign, and when others take it over at the latest; or that it is gone', async () => {
    const client = await startClient();
    const id = await enqueue(client);
    const process = newId();
    await sql(
      database,
      `insert into nestor.process (id, app, host, pid, heartbeat_at) values ($1, $2, 'far', 7, clock_timestamp() - interval '4 s')`,
      [process, `${relay.app}-unwatched`],
    );
    await sql(database, `update nestor.flow_run set process_id = $1, app = $2 where id = $3`, [
      ...[process, `${relay.app}-unwatched`, id],
    ]);
    const [late] = await reasonsOf(client, id);
    expect(late).toMatchObject({ code: 'PROCESS_LATE', data: { process: { id: process, host: 'far', pid: 7 } } });
    if (late?.code !== 'PROCESS_LATE') throw new Error('another reason');
    // Nobody is dead within one lease of a start of the server, which may have been a moment ago.
    const [server] = await sql<{ us: string }>(
      database,
      'select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint::text as us',
    );
    expect(late.data.takenOverBy).toBe(Math.max(late.data.heartbeatAt, Number(server!.us)) + 10_000_000);
    await sql(database, 'delete from nestor.process where id = $1', [process]);
    expect(await reasonsOf(client, id)).toMatchObject([{ code: 'PROCESS_GONE', data: { processId: process } }]);
  });

  it('is that it is part of another run', async () => {
    const process = await relay.start('one', (stage) => {
      stage.script = () => stage.enact();
      stage.scene = () => gate.pass();
    });
    const root = await process.begin('play');
    await gate.reached;
    await process.settled();
    const [subflow] = await sql<{ id: string }>(
      database,
      'select id from nestor.flow_run where root_flow_run_id = $1 and id <> $1',
      [root],
    );
    expect(await reasonsOf(process, subflow!.id)).toMatchObject([
      { code: 'PART_OF_RUN', data: { rootFlowRunId: root } },
    ]);
  });

  it('is that whoever could take it is behind with looking', async () => {
    const client = await startClient();
    const id = await enqueue(client);
    const since = '2026-11-26T08:00:00.000000Z';
    await sql(
      database,
      `update nestor.process
          set serves = '{"limit": 5, "unqueued": true, "pools": []}', loops_behind = $2::jsonb where id = $1`,
      [
        client.processId,
        JSON.stringify([
          { loop: 'sweeper', since },
          { loop: 'claimer', since },
        ]),
      ],
    );
    expect(await reasonsOf(client, id)).toMatchObject([
      {
        code: 'LOOP_BEHIND',
        blocks: true,
        message: expect.stringContaining('Claiming runs is behind in process') as string,
        data: { loops: [{ id: client.processId, loop: 'claimer', since: parseInstant(since) }] },
      },
    ]);
    const other = await startClient();
    await sql(
      database,
      `update nestor.process set serves = '{"limit": 5, "unqueued": true, "pools": []}' where id = $1`,
      [other.processId],
    );
    expect(await reasonsOf(client, id)).toMatchObject([
      { code: 'DUE', blocks: false },
      { code: 'LOOP_BEHIND', blocks: false },
    ]);
  });

  it('is nothing that is in its way, when somebody just has not looked yet', async () => {
    const client = await startClient();
    const id = await enqueue(client);
    await sql(
      database,
      `update nestor.process set serves = '{"limit": 5, "unqueued": true, "pools": []}' where id = $1`,
      [client.processId],
    );
    expect(await reasonsOf(client, id)).toMatchObject([
      { code: 'DUE', blocks: false, data: { processes: [{ id: client.processId }] } },
    ]);
  });
});
