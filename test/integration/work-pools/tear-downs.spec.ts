import { Flows, HandedOverRuns, TearDowns, WorkPools } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { OverdueRuns } from '../../../libs/orchestrator/src/runtime/recovery/overdue-runs.service.js';
import { TearDownDelivery } from '../../../libs/orchestrator/src/runtime/workers/tear-down-delivery.service.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { LastingBoxWorker } from './support/lasting-box.worker.js';

interface StoredInfrastructure {
  readonly identifier: string;
  readonly attempts: number;
  readonly error: string | null;
  readonly dead: boolean;
}

describe('infrastructure that outlives its worker', () => {
  let database: TestDatabase;
  let relay: Relay;
  let gate: Gate;
  let pool: string;
  let boxes: LastingBoxWorker;
  let worker: RelayProcess;
  let client: RelayProcess;
  let count = 0;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(async () => {
    relay = new Relay(database);
    gate = new Gate();
    pool = `pool-${(count += 1)}`;
    boxes = new LastingBoxWorker();
    // Has the flow and executes nothing that waits: what is in a box, too.
    client = await relay.start('client', undefined, { worker: false });
    worker = await serve(boxes);
    await waitFor(async () => (await worker.get(WorkPools).find(pool))?.status === 'READY');
  });
  afterEach(async () => {
    gate.open();
    await relay.close();
    await sql(database, 'delete from nestor.infrastructure');
    expect(await illegalHistories(database)).toEqual([]);
  });

  /** A process that serves the pool; unless it is said otherwise, it has no flow, so that it takes no run. */
  const serve = (one: LastingBoxWorker, hasFlow = true): Promise<RelayProcess> =>
    relay.start('worker', undefined, {
      worker: { pools: [{ name: pool, type: 'lasting-box' }], unqueued: false },
      providers: [
        ...(hasFlow ? [{ provide: Stage, useFactory: () => new Stage() }] : []),
        { provide: LastingBoxWorker, useValue: one },
      ],
    });
  const enqueue = async (): Promise<string> =>
    (await client.get(Flows).with({ workPool: pool }).enqueue(Stage, 'play')).id;
  const infrastructure = (): Promise<StoredInfrastructure[]> =>
    sql(
      database,
      `select identifier, attempts, error, dead_at is not null as dead from nestor.infrastructure order by created`,
    );
  const started = async (times = 1): Promise<void> => {
    await waitFor(() => boxes.jobs.length === times);
    await waitFor(async () => (await infrastructure()).length > 0);
  };
  const dies = async (process: RelayProcess): Promise<void> => {
    await process.die();
    await process.get(TearDownDelivery).stop();
  };
  /** Its worker dies after its run was submitted; the run is given up, because nobody was to have it so often. */
  const orphan = async (): Promise<string> => {
    const id = await enqueue();
    await started();
    await sql(database, `update nestor.flow_run set empirical_policy = '{"maxRecoveries": 0}' where id = $1`, [id]);
    await dies(worker);
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'CRASHED');
    return id;
  };
  /** Has it look for what is to be ended, which by itself it does every few seconds. */
  const look = (heir: RelayProcess): void => heir.get(TearDownDelivery).wake();
  /** Lets the next attempt be due. */
  const hurry = async (heir: RelayProcess): Promise<void> => {
    await sql(database, `update nestor.infrastructure set due_at = clock_timestamp() where due_at is not null`);
    look(heir);
  };

  it('is noted while it is there, and is nobody else’s matter while its worker lives', async () => {
    const heir = new LastingBoxWorker();
    await serve(heir, false);
    const id = await enqueue();
    await started();
    expect(await infrastructure()).toEqual([{ identifier: 'box-1', attempts: 0, error: null, dead: false }]);
    boxes.inside = async () => ({ exitCode: 1 });
    await client.control.cancel(id);
    await waitFor(() => boxes.kills.length > 0);
    expect(heir.kills).toEqual([]);
    const ending = await enqueue();
    await waitFor(async () => (await flowRunOf(database, ending)).state_type === 'CRASHED');
    expect(await infrastructure()).toMatchObject([{ identifier: 'box-1' }]);
  });

  it('is ended by another worker of the pool when its run has ended without its own [W18]', async () => {
    const heirs = [new LastingBoxWorker(), new LastingBoxWorker()];
    await Promise.all(heirs.map((heir) => serve(heir, false)));
    await orphan();
    await waitFor(async () => (await infrastructure()).length === 0, 15_000);
    expect(heirs.flatMap(({ kills }) => kills)).toEqual([['box-1', 'app:1', 30_000]]);
  });

  it('stays while its run goes on in it, also without its worker, and is ended when that goes on elsewhere [W18]', async () => {
    client.stage.script = () => gate.pass();
    boxes.inside = async ({ lease }) => {
      void client.get(HandedOverRuns).execute(lease);
      return new Promise(() => undefined);
    };
    const id = await enqueue();
    await gate.reached;
    await client.settled();
    const heir = new LastingBoxWorker();
    const other = await serve(heir, false);
    await dies(worker);
    look(other);
    await other.get(TearDownDelivery).stop(); // once it has looked
    expect(heir.kills).toEqual([]);
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'RUNNING', process_id: client.processId });

    // What executed the run dies as well: somebody takes the run back, and nobody needs the box any more.
    other.get(TearDownDelivery).onApplicationBootstrap();
    await client.die();
    await relay.start('sweeping', undefined, { worker: false });
    await waitFor(async () => (await stateNames(database, id)).at(-1) === 'AwaitingResume');
    look(other);
    await waitFor(async () => (await infrastructure()).length === 0, 15_000);
    expect(heir.kills).toEqual([['box-1', 'app:1', 30_000]]);
  });

  it('is forgotten when it has brought its run to an end without its worker', async () => {
    client.stage.script = () => gate.pass();
    boxes.inside = async ({ lease }) => {
      void client.get(HandedOverRuns).execute(lease);
      return new Promise(() => undefined);
    };
    const id = await enqueue();
    await gate.reached;
    const heir = new LastingBoxWorker();
    const other = await serve(heir, false);
    await dies(worker);
    gate.open();
    await client.result(id);
    look(other);
    await waitFor(async () => (await infrastructure()).length === 0, 15_000);
    expect(heir.kills).toEqual([]);
  }, 30_000);

  it('is ended when nobody carries a cancellation out, and the run is CANCELLED after its time [S17]', async () => {
    client.stage.script = () => gate.pass();
    boxes.inside = async ({ lease }) => {
      void client.get(HandedOverRuns).execute(lease);
      return new Promise(() => undefined);
    };
    const id = await enqueue();
    await gate.reached;
    await client.settled();
    await Promise.all([dies(worker), client.die()]);
    // Nobody is there who has the flow, so that nobody takes the run over, and nobody ends it.
    const elsewhere = await relay.start('elsewhere', undefined, { providers: [], cancellationTimeout: '1s' });
    const heir = new LastingBoxWorker();
    await serve(heir, false);
    await elsewhere.control.cancel(id);
    expect((await flowRunOf(database, id)).state_type).toBe('CANCELLING');
    expect(heir.kills).toEqual([]);

    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'CANCELLED', 15_000);
    const [row] = await sql<{ seconds: number }>(
      database,
      `select extract(epoch from c.timestamp - a.timestamp)::float8 as seconds
         from nestor.flow_run_state c join nestor.flow_run_state a on a.id = c.follows
        where c.flow_run_id = $1 and c.type = 'CANCELLED'`,
      [id],
    );
    expect(row!.seconds).toBeGreaterThanOrEqual(1);
    await waitFor(async () => (await infrastructure()).length === 0, 15_000);
    expect(heir.kills).toEqual([['box-1', 'app:1', 30_000]]);
  }, 60_000);

  it('is needed by a run that is to be cancelled until 300 seconds have passed, by the clock of the database [S17]', async () => {
    client.stage.script = () => gate.pass();
    boxes.inside = async ({ lease }) => {
      void client.get(HandedOverRuns).execute(lease);
      return new Promise(() => undefined);
    };
    const id = await enqueue();
    await gate.reached;
    await client.settled();
    await Promise.all([dies(worker), client.die()]);
    const elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
    const heir = await serve(new LastingBoxWorker(), false);
    await elsewhere.control.cancel(id);
    const afterAnother = async (seconds: number): Promise<string> => {
      const earlier = (column: string): string => `${column} = ${column} - $2 * interval '1 second'`;
      await sql(
        database,
        `with states as (update nestor.flow_run_state set ${earlier('timestamp')} where flow_run_id = $1)
         update nestor.flow_run set ${earlier('state_timestamp')} where id = $1`,
        [id, seconds],
      );
      await elsewhere.get(OverdueRuns).end();
      return (await flowRunOf(database, id)).state_type;
    };
    expect(await afterAnother(290)).toBe('CANCELLING');
    look(heir);
    expect(await infrastructure()).toMatchObject([{ attempts: 0 }]);
    expect(await afterAnother(10)).toBe('CANCELLED');
    await waitFor(async () => (await infrastructure()).length === 0, 15_000);
  }, 60_000);

  it('is tried to end again, and is a dead letter after three attempts, which people can have tried again [W18]', async () => {
    const heir = new LastingBoxWorker();
    heir.ending = () => Promise.reject(new Error('no route to the box'));
    const other = await serve(heir, false);
    const id = await orphan();
    look(other);
    for (const attempts of [1, 2, 3]) {
      await waitFor(async () => {
        const [row] = await infrastructure();
        return row?.attempts === attempts && row.error !== null && (attempts < 3 || row.dead);
      });
      await hurry(other);
    }
    await other.get(TearDownDelivery).stop();
    expect(heir.kills).toHaveLength(3);

    const tearDowns = client.get(TearDowns);
    const [letter, ...more] = await tearDowns.deadLetters();
    expect(more).toEqual([]);
    expect(letter).toMatchObject({
      ...{ flowRunId: id, workPool: pool, type: 'lasting-box', identifier: 'box-1', attempts: 3 },
      error: 'Error: no route to the box',
    });
    expect(
      await sql(
        database,
        `select resource ->> 'prefect.resource.name' as name, payload from nestor.event where event = 'nestor.infrastructure.given-up'
          and resource_id = $1`,
        [`nestor.infrastructure.${letter!.id}`],
      ),
    ).toEqual([{ name: 'box-1', payload: { attempts: 3, error: 'Error: no route to the box', work_pool: pool } }]);

    heir.ending = async () => undefined;
    other.get(TearDownDelivery).onApplicationBootstrap();
    await tearDowns.retry(letter!.id);
    await waitFor(async () => (await infrastructure()).length === 0);
    expect(heir.kills).toHaveLength(4);
    const refusal = { code: 'TEAR_DOWN_NOT_FOUND' };
    await expect(tearDowns.retry(letter!.id)).rejects.toMatchObject(refusal);
    await expect(tearDowns.discard(letter!.id)).rejects.toMatchObject(refusal);
    await expect(tearDowns.retry('nonsense')).rejects.toMatchObject(refusal);
  }, 60_000);

  it('is left to another one when whoever was about to end it dies, three times at most [W18]', async () => {
    const dying = new LastingBoxWorker();
    dying.ending = () => new Promise(() => undefined); // it never says what came of it
    const first = await serve(dying, false);
    const id = await orphan();
    look(first);
    await waitFor(() => dying.kills.length === 1);
    await first.get(TearDownDelivery).stop();
    const second = await serve(dying, false);
    look(second);
    expect(await infrastructure()).toMatchObject([{ attempts: 1, error: null }]); // in the hands of the first one
    await hurry(second);
    await waitFor(() => dying.kills.length === 2);
    await hurry(second);
    await waitFor(() => dying.kills.length === 3);
    await hurry(second);
    const tearDowns = client.get(TearDowns);
    const [letter] = await waitFor(async () => {
      const letters = await tearDowns.deadLetters();
      return letters.length > 0 && letters;
    });
    expect(letter).toMatchObject({ flowRunId: id, attempts: 3 });
    await tearDowns.discard(letter!.id);
    expect(await infrastructure()).toEqual([]);
  });
});
