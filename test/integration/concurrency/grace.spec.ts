import { ConcurrencyLimits, Deployments, FlowRuns, Loops, WorkPools } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Foreman } from '../../../libs/orchestrator/src/runtime/maintenance/foreman.service.js';
import { testDatabase } from '../../support/database.js';
import { flowRunOf, illegalHistories, stateNames } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { LastingBoxWorker } from '../work-pools/support/lasting-box.worker.js';
import { checkAtEveryCommit, leftovers, NOTHING } from './support/limits.js';

describe('a slot of a deployment whose run never begins', () => {
  let database: TestDatabase;
  let relay: Relay;
  let client: RelayProcess;
  let boxes: LastingBoxWorker;
  let pool: string;
  let id: string;
  let count = 0;
  beforeAll(async () => {
    database = await testDatabase();
    await checkAtEveryCommit(database);
  });
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(async () => {
    relay = new Relay(database);
    pool = `boxes-${(count += 1)}`;
    boxes = new LastingBoxWorker(); // nothing ever comes of its boxes
    client = await relay.start('client', undefined, { worker: false });
    await client.get(WorkPools).create(pool, { type: 'lasting-box' });
    await client.get(WorkPools).create(`${pool}-others`);
    await client.get(Deployments).save(Stage, 'play', { name: pool, workPool: pool, concurrency: 1 });
    ({ id } = await client.get(Deployments).get(`play/${pool}`));
  });
  afterEach(async () => {
    await relay.close();
  });

  /** Lets the grace period be a second from now on; no deployment can ask for less than a minute. */
  const letGraceBeShort = (): Promise<unknown> =>
    sql(
      database,
      `update nestor.deployment
          set concurrency_options = '{"collision_strategy": "ENQUEUE", "grace_period_seconds": 1}' where id = $1`,
      [id],
    );
  const serveBoxes = (): Promise<RelayProcess> =>
    relay.start('worker', undefined, {
      worker: { pools: [{ name: pool, type: 'lasting-box' }], unqueued: false },
      providers: [
        { provide: Stage, useFactory: () => new Stage() },
        { provide: LastingBoxWorker, useValue: boxes },
      ],
    });
  const serveOthers = (): Promise<RelayProcess> =>
    relay.start('other', (stage) => (stage.script = async () => stage.owner), {
      worker: { pools: [`${pool}-others`], unqueued: false },
    });
  const run = async (options: object = {}): Promise<string> =>
    (await client.get(Deployments).run(`play/${pool}`, options)).id;
  const holders = async (): Promise<unknown[]> =>
    (await client.get(ConcurrencyLimits).slots(`deployment:${id}`)).map(({ flowRunId }) => flowRunId);
  const last = async (runId: string): Promise<string | undefined> => (await stateNames(database, runId)).at(-1);

  it('is given back after its grace period where its worker died before it began, and goes to the next in line [D09]', async () => {
    const worker = await serveBoxes();
    const never = await run();
    await waitFor(() => boxes.jobs.length === 1);
    expect(await holders()).toEqual([never]);
    await serveOthers();
    const next = await run({ workPool: `${pool}-others` });
    await waitFor(async () => (await last(next)) === 'AwaitingConcurrencySlot');
    await worker.die();
    await waitFor(async () => (await last(never)) === 'AwaitingResume');
    expect(await holders()).toEqual([never]);
    await letGraceBeShort();

    expect(await client.get(FlowRuns).result(next, { timeout: '15s' })).toBe('other');
    expect(await last(never)).toBe('AwaitingResume'); // it waits on, for somebody who serves its pool, and keeps nobody out
    expect(await holders()).toEqual([]);

    boxes.inside = async () => ({ exitCode: 1 });
    await serveBoxes();
    await waitFor(async () => (await flowRunOf(database, never)).state_type === 'CRASHED');
    expect(await leftovers(database)).toEqual(NOTHING);
  }, 60_000);

  it('is given back after its grace period where its infrastructure never reports [D09]', async () => {
    const worker = await serveBoxes();
    const never = await run();
    await waitFor(() => boxes.jobs.length === 1);
    await serveOthers();
    const next = await run({ workPool: `${pool}-others` });
    await waitFor(async () => (await last(next)) === 'AwaitingConcurrencySlot');
    await letGraceBeShort();
    await waitFor(async () => {
      worker.get(Foreman).wake();
      return (await stateNames(database, never)).includes('AwaitingResume');
    });
    expect(await client.get(FlowRuns).result(next, { timeout: '15s' })).toBe('other');
    const [row] = await sql<{ seconds: number }>(
      database,
      `select extract(epoch from t.timestamp - s.timestamp)::float8 as seconds
         from nestor.flow_run_state t join nestor.flow_run_state s on s.id = t.follows
        where t.flow_run_id = $1 and t.name = 'AwaitingResume' order by t.timestamp limit 1`,
      [never],
    );
    expect(row!.seconds).toBeGreaterThanOrEqual(1);
    await client.control.cancel(never);
    await worker.app.close();
    await waitFor(async () => (await flowRunOf(database, never)).state_type === 'CANCELLED', 15_000);
    await waitFor(async () => JSON.stringify(await leftovers(database)) === JSON.stringify(NOTHING));
  }, 60_000);

  it('stays with a run that has begun, however long that takes', async () => {
    const worker = await relay.start('worker', (stage) => (stage.script = () => new Promise(() => undefined)), {
      worker: { pools: [`${pool}-others`], unqueued: false },
    });
    const long = await run({ workPool: `${pool}-others` });
    await waitFor(async () => (await last(long)) === 'Running');
    await sql(
      database,
      `with claim as (update nestor.concurrency_claim set granted_at = granted_at - interval '1 hour' where flow_run_id = $1)
       update nestor.flow_run set updated = updated - interval '1 hour' where id = $1`,
      [long],
    );
    const lookedAt = (): number =>
      client
        .get(Loops)
        .statuses()
        .find(({ loop }) => loop === 'slots')?.lastRoundAt ?? 0;
    await letGraceBeShort();
    const before = lookedAt();
    worker.get(Foreman).wake();
    await waitFor(() => lookedAt() > before);
    expect(await holders()).toEqual([long]);
    await client.control.setState(long, { type: 'CANCELLED' });
  });
});
