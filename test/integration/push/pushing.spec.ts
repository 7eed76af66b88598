import type { INestApplicationContext } from '@nestjs/common';
import {
  Block,
  Blocks,
  Deployments,
  FlowRuns,
  Flows,
  RunControl,
  Secret,
  SecretField,
  WorkPools,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Foreman } from '../../../libs/orchestrator/src/runtime/maintenance/foreman.service.js';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { startApp } from '../../support/app.js';
import { CompiledProgram } from '../../support/compiled-program.js';
import { testDatabase } from '../../support/database.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { PushedFlows } from './support/pushed-flows.js';
import { PushTarget, refuse } from './support/push-target.js';

jest.setTimeout(60_000);

const KEY = Buffer.alloc(32, 3).toString('base64');
const TOKEN = 'hunter2-hunter2-hunter2';
const STARTED_WITHIN_MS = 20_000;

@Block({ slug: 'push-key' })
class PushKey {
  @SecretField() token!: Secret;
}

describe('pools whose runs are pushed to a URL', () => {
  let database: TestDatabase;
  let program: CompiledProgram;
  let target: PushTarget;
  let client: INestApplicationContext;
  const nodes: INestApplicationContext[] = [];
  const loggers: RecordingLogger[] = [];
  let pool: string;
  let pools = 0;

  beforeAll(async () => {
    database = await testDatabase();
    program = new CompiledProgram('test/integration/push/support/pushed-program.ts');
    client = await startApp({
      ...{ url: database.url, app: 'pushed', secretKey: KEY },
      ...{ worker: false, providers: [PushedFlows] },
    });
    await client.get(Blocks).save('main', Object.assign(new PushKey(), { token: new Secret(TOKEN) }));
  });
  beforeEach(async () => {
    pool = `push-${(pools += 1)}`;
    target = await PushTarget.start(program, database.url);
  });
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.close()));
    await target.stop();
    expect(await illegalHistories(database)).toEqual([]);
    expect(
      loggers
        .splice(0)
        .flatMap(({ lines }) => lines)
        .filter(({ message }) => message.includes(TOKEN)),
    ).toEqual([]);
  });
  afterAll(async () => {
    await client.close();
    program.remove();
    await database.drop();
  });

  /** An orchestrator that pushes what waits in the pool. */
  const startNode = async (options: { pendingTimeout?: '1s' } = {}): Promise<INestApplicationContext> => {
    const logger = new RecordingLogger();
    const node = await startApp({
      ...{ url: database.url, app: 'pushed', secretKey: KEY, drain: '100ms', logger, providers: [PushedFlows] },
      worker: { pools: [{ name: pool, type: 'http-push' }], unqueued: false, killGrace: '5s' },
      ...options,
    });
    nodes.push(node);
    loggers.push(logger);
    return node;
  };
  /** Has the template of the pool say this of the request, and of the rest. */
  const configure = async (request: object = {}, rest: object = {}): Promise<void> => {
    const { baseJobTemplate } = await waitFor(() => client.get(WorkPools).find(pool));
    const { job_configuration: configuration, variables } = baseJobTemplate;
    const own = (configuration as { request: object }).request;
    await client.get(WorkPools).update(pool, {
      baseJobTemplate: {
        job_configuration: {
          ...configuration,
          ...rest,
          request: {
            ...own,
            ...{ url: `${target.url}/start`, retry_delay_seconds: 0.01, attempts: 3 },
            headers: { authorization: 'Bearer {{ blocks.push-key.main.token }}' },
            ...request,
          },
        },
        variables: { ...variables, required: [] },
      },
    });
  };
  const enqueue = async (word = 'yes'): Promise<string> =>
    (await client.get(Flows).with({ workPool: pool }).enqueue(PushedFlows, 'tell', word)).id;
  const enqueueWait = async (): Promise<string> =>
    (await client.get(Flows).with({ workPool: pool }).enqueue(PushedFlows, 'wait')).id;
  const result = (id: string): Promise<unknown> => client.get(FlowRuns).result(id, { timeout: STARTED_WITHIN_MS });
  const entered = (id: string, type: string): Promise<unknown> =>
    waitFor(async () => (await flowRunOf(database, id)).state_type === type, STARTED_WITHIN_MS);
  const lastMessage = async (id: string): Promise<string | null> =>
    (await client.get(FlowRuns).get(id)).states.at(-1)?.message ?? null;
  const begun = (id: string): Promise<unknown> =>
    waitFor(
      async () => (await taskRunsOf(database, id)).some((task) => task.state_type === 'COMPLETED'),
      STARTED_WITHIN_MS,
    );

  it('post each due run once, whoever is there, and what is behind the URL executes it [R06]', async () => {
    await Promise.all([startNode(), startNode()]);
    await configure();
    const ids = [await enqueue('one'), await enqueue('two')];
    const results = (await Promise.all(ids.map((id) => result(id)))) as { pid: number; word: string }[];
    expect(results.map(({ word }) => word)).toEqual(['one', 'two']);
    expect(new Set(results.map(({ pid }) => pid)).size).toBe(2);
    expect(results.every(({ pid }) => pid !== process.pid)).toBe(true);
    expect(target.posts.map(({ body }) => body.lease.flowRunId).sort()).toEqual([...ids].sort());
    expect(target.posts[0]).toMatchObject({
      path: '/start',
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    });
    for (const [index, id] of ids.entries()) {
      expect(await stateNames(database, id)).toEqual(['Scheduled', 'Pending', 'Submitting', 'Running', 'Completed']);
      const [row] = await sql(database, 'select infrastructure_pid from nestor.flow_run where id = $1', [id]);
      expect(row).toEqual({ infrastructure_pid: `process-${results[index]!.pid}` });
    }
  });

  it('tell what template, deployment and run say of the job; no secret is kept anywhere [R06]', async () => {
    await startNode();
    await configure();
    const { id: deployment } = await client.get(Deployments).save(PushedFlows, 'tell', {
      name: `d-${pool}`,
      workPool: pool,
      parameters: { 0: 'deployed' },
      jobVariables: { job: { image: 'app:2', key: '{{ blocks.push-key.main.token }}' } },
    });
    const run = await client.get(Deployments).run(deployment);
    expect(await result(run.id)).toMatchObject({ word: 'deployed' });
    const { body, headers } = target.posts[0]!;
    expect(body).toEqual({
      lease: { flowRunId: run.id, epoch: expect.any(Number) as number },
      flow_run: { id: run.id, name: run.name },
      flow: { name: 'pushed-tell' },
      deployment: { id: deployment },
      job: { image: 'app:2', key: TOKEN },
    });
    expect(headers['idempotency-key']).toBe(`${run.id}:${body.lease.epoch}`);
    const [{ count }] = (await sql<{ count: number }>(
      database,
      `select count(*)::int as count from nestor.flow_run r
         left join nestor.flow_run_state s on s.flow_run_id = r.id
         left join nestor.deployment d on d.id = r.deployment_id
         left join nestor.log l on l.flow_run_id = r.id
        where concat(r::text, s::text, d::text, l::text) like $1`,
      [`%${TOKEN}%`],
    )) as [{ count: number }];
    expect(count).toBe(0);
  });

  it('do not repeat secrets of a job that the answer repeats [R06]', async () => {
    await startNode();
    await configure({ headers: {} }, { job: { key: 'key={{ blocks.push-key.main.token }}' } });
    target.answers.push(refuse(422, `{"key":"key=${TOKEN}"} is not known`));
    const id = await enqueue();
    await entered(id, 'CRASHED');
    expect(await lastMessage(id)).toMatch(/was answered with 422: \{"key":"key=\*{8}"\} is not known\.$/);
  });

  it('post again what was not accepted for the moment [R06]', async () => {
    await startNode();
    await configure();
    target.answers.push(refuse(503, 'busy'), refuse(429, '', { 'retry-after': '0' }));
    const id = await enqueue();
    expect(await result(id)).toMatchObject({ word: 'yes' });
    expect(target.posts).toHaveLength(3);
    expect(new Set(target.posts.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
  });

  it.each<[string, () => void, object, RegExp, number]>([
    [
      'a refusal',
      () => target.answers.push(refuse(422, `no ${TOKEN} please`)),
      {},
      /was answered with 422: no \*{8} please\.$/,
      1,
    ],
    [
      'refusals for as long as it is tried',
      () => target.answers.push(refuse(500), refuse(502), refuse(503)),
      {},
      /was answered with 503\.$/,
      3,
    ],
    [
      'a redirect to another host',
      () => target.answers.push(refuse(307, '', { location: 'http://localhost:1/start' })),
      {},
      /redirected to another host, which is not followed\.$/,
      1,
    ],
    [
      'a redirect that is no post any more',
      () => target.answers.push(refuse(303, '', { location: '/done' })),
      {},
      /redirected with 303/,
      1,
    ],
    [
      'nobody there',
      () => undefined,
      { url: 'http://127.0.0.1:59999/start' },
      /127\.0\.0\.1:59999\/start failed: ECONNREFUSED\.$/,
      0,
    ],
    ['no URL', () => undefined, { url: 'jobs' }, /could not be started: .*"url" is no URL/, 0],
    [
      'a secret that is not there',
      () => undefined,
      { headers: { authorization: '{{ blocks.push-key.other.token }}' } },
      /could not be started: .*no block "push-key\/other"/,
      0,
    ],
    ['no attempt', () => undefined, { attempts: 0 }, /could not be started: .*"attempts" is no number/, 0],
  ])('end a run as crashed, and say why: %s [R06]', async (_, prepare, request, message, posts) => {
    await startNode();
    await configure(request);
    prepare();
    const id = await enqueue();
    await entered(id, 'CRASHED');
    expect(await lastMessage(id)).toMatch(message);
    expect(target.posts).toHaveLength(posts);
  });

  it('follow a redirect on the same host, with what was posted', async () => {
    await startNode();
    await configure();
    target.answers.push(refuse(307, '', { location: '/elsewhere' }));
    const id = await enqueue();
    await result(id);
    expect(target.posts.map(({ path }) => path)).toEqual(['/start', '/elsewhere']);
    expect(target.posts[1]!.headers.authorization).toBe(`Bearer ${TOKEN}`);
  });

  it('send no more than may be sent', async () => {
    await startNode();
    await configure();
    const { id: deployment } = await client.get(Deployments).save(PushedFlows, 'tell', {
      name: `large-${pool}`,
      workPool: pool,
      parameters: { 0: 'large' },
      jobVariables: { job: { text: 'x'.repeat(1_100_000) } },
    });
    const { id } = await client.get(Deployments).run(deployment);
    await entered(id, 'CRASHED');
    expect(await lastMessage(id)).toMatch(/more than 1048576 bytes/);
    expect(target.posts).toEqual([]);
  });

  it('take what has begun for accepted, although nobody has answered [R06]', async () => {
    await startNode();
    await configure({ timeout_seconds: 600 });
    let breakOff: () => void = () => undefined;
    target.answers.push((_, response, start) => {
      start();
      breakOff = () => response.destroy();
    });
    const id = await enqueue();
    expect(await result(id)).toMatchObject({ word: 'yes' });
    breakOff();
    await waitFor(() => nodes[0]!.get(RunClaimer, { strict: false }).size === 0);
    expect(target.posts).toHaveLength(1);
  });

  it('are answered in time, or post again [R06]', async () => {
    await startNode();
    await configure({ timeout_seconds: 0.1 });
    target.answers.push(() => undefined);
    const id = await enqueue();
    await waitFor(() => target.posts.length > 1);
    expect(
      loggers[0]!.lines.some(({ message }) => message.includes('was not answered in time. It is pushed again')),
    ).toBe(true);
    await client.get(RunControl).cancel(id);
    await entered(id, 'CANCELLED');
  });

  it('keep to the limit of the pool [R06]', async () => {
    await startNode();
    await configure();
    await client.get(WorkPools).update(pool, { concurrencyLimit: 1 });
    const first = await enqueueWait();
    await begun(first);
    const second = await enqueue();
    expect((await flowRunOf(database, second)).state_type).toBe('SCHEDULED');
    expect(target.posts).toHaveLength(1);
    await client.get(RunControl).cancel(first);
    expect(await result(second)).toMatchObject({ word: 'yes' });
    expect((await flowRunOf(database, first)).state_type).toBe('CANCELLED');
  });

  it('tell who wants to know that a run is cancelled, and the run itself [R06]', async () => {
    await startNode();
    await configure({ cancel_url: `${target.url}/cancel` });
    const id = await enqueueWait();
    await begun(id);
    target.answers.push(refuse(200));
    await client.get(RunControl).cancel(id);
    await entered(id, 'CANCELLED');
    const [start, cancel] = await waitFor(() => (target.posts.length === 2 ? target.posts : null));
    const [row] = await sql<{ pid: string }>(
      database,
      'select infrastructure_pid as pid from nestor.flow_run where id = $1',
      [id],
    );
    expect(start!.path).toBe('/start');
    expect(cancel).toMatchObject({
      path: '/cancel',
      body: { identifier: row!.pid },
      headers: { authorization: `Bearer ${TOKEN}` },
    });
  });

  it('end a run that is cancelled before anybody has begun it; nobody can any more', async () => {
    await startNode();
    await configure();
    let begin: () => number = () => 0;
    target.answers.push((_, response, start) => {
      begin = start;
      response.writeHead(202).end();
    });
    const id = await enqueue();
    await waitFor(async () => (await stateNames(database, id)).includes('Submitting') && target.posts.length === 1);
    await client.get(RunControl).cancel(id);
    await entered(id, 'CANCELLED');
    begin();
    expect(await taskRunsOf(database, id)).toEqual([]);
  });

  it('leave what they have pushed to itself when they shut down [R06]', async () => {
    const node = await startNode();
    await configure();
    const id = await enqueueWait();
    await begun(id);
    const began = performance.now();
    nodes.splice(0);
    await node.close();
    expect(performance.now() - began).toBeLessThan(5_000);
    expect((await flowRunOf(database, id)).state_type).toBe('RUNNING');
    await client.get(RunControl).cancel(id);
    await entered(id, 'CANCELLED');
  });

  it('take back what was accepted and never began, and push it again [R06]', async () => {
    await startNode({ pendingTimeout: '1s' });
    await configure();
    target.answers.push(refuse(202));
    const id = await enqueue();
    await waitFor(async () => {
      nodes[0]!.get(Foreman, { strict: false }).wake();
      return (await stateNames(database, id)).includes('AwaitingResume');
    });
    expect(await result(id)).toMatchObject({ word: 'yes' });
    expect(target.posts).toHaveLength(2);
    expect(target.posts[0]!.body.lease.epoch).toBeLessThan(target.posts[1]!.body.lease.epoch);
  });
});
