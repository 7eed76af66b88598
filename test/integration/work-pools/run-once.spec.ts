import { FlowRuns, Flows, Readiness, RunOnce, WorkPools, type EnqueueOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { FlowRunClaimsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

describe('a worker that looks for runs once', () => {
  let database: TestDatabase;
  let relay: Relay;
  let client: RelayProcess;
  let pool: string;
  let count = 0;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(async () => {
    relay = new Relay(database);
    client = await relay.start('client', undefined, { worker: false });
    await client.get(WorkPools).create((pool = `pool-${(count += 1)}`));
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await relay.close();
  });

  const enqueue = async (options: EnqueueOptions = {}): Promise<string> => {
    const flows = client.get(Flows).with({ workPool: pool, ...options });
    return (await flows.enqueue(Stage, 'play')).id;
  };
  const startWorker = (prepare?: (stage: Stage) => void, more: object = {}): Promise<RelayProcess> =>
    relay.start('worker', prepare, {
      worker: { pools: [{ name: pool, workerName: 'w' }], runOnce: true, ...more },
    });
  const stateTypes = async (ids: readonly string[]): Promise<string[]> => {
    const rows = await Promise.all(ids.map((id) => flowRunOf(database, id)));
    return rows.map((row) => String(row.state_type));
  };

  it('executes what it got to its end, leaves what comes later, and is offline; the application goes on [W08]', async () => {
    const ids = [await enqueue(), await enqueue()];
    const free = (await client.get(Flows).enqueue(Stage, 'play')).id;
    const gate = new Gate();
    let begun = 0;
    const worker = await startWorker((stage) => {
      stage.script = async () => {
        begun += 1;
        await gate.pass();
        return 'done';
      };
    });
    await waitFor(() => begun === 3);
    await waitFor(async () => (await client.get(WorkPools).workers(pool))[0]?.status === 'ONLINE');
    const late = await enqueue();
    gate.open();
    expect([...(await worker.get(RunOnce).done())].sort()).toEqual([...ids, free].sort());
    expect(await stateTypes([...ids, free, late])).toEqual(['COMPLETED', 'COMPLETED', 'COMPLETED', 'SCHEDULED']);
    expect(await client.get(WorkPools).workers(pool)).toMatchObject([{ name: 'w', status: 'OFFLINE' }]);
    expect(await client.get(WorkPools).get(pool)).toMatchObject({ status: 'NOT_READY' });

    // Whoever wakes it wakes nobody; what is started in the application itself is executed there all the same.
    worker.get(RunClaimer).wake();
    expect(await worker.result(await worker.begin('play'))).toBe('done');
    expect(await worker.get(Readiness).problem()).toBeNull();
    expect(await worker.get(RunOnce).done()).toHaveLength(3);
    expect(await flowRunOf(database, late)).toMatchObject({ state_type: 'SCHEDULED', process_id: null });
    const { reasons } = await client.get(FlowRuns).whyNotRunning(late);
    expect(reasons.map(({ code }) => code)).toContain('NO_WORKER');
  });

  it('is over at once where nothing is due, and has been a worker all the same [W08]', async () => {
    const later = await enqueue({ in: '1h' });
    const worker = await startWorker();
    expect(await worker.get(RunOnce).done()).toEqual([]);
    expect(await client.get(WorkPools).workers(pool)).toMatchObject([{ name: 'w', status: 'OFFLINE' }]);
    expect(await stateTypes([later])).toEqual(['SCHEDULED']);
  });

  it('takes no more than its limit altogether, however fast that ends [W08]', async () => {
    const ids = [await enqueue(), await enqueue(), await enqueue()];
    const worker = await startWorker((stage) => (stage.script = async () => 'done'), { limit: 2, unqueued: false });
    expect(await worker.get(RunOnce).done()).toEqual(ids.slice(0, 2));
    expect(await stateTypes(ids)).toEqual(['COMPLETED', 'COMPLETED', 'SCHEDULED']);
  });

  it('takes all that is due, however much, with and without keys [W08]', async () => {
    const flows = client.get(Flows);
    const plain = await flows.with({ workPool: pool }).enqueueAll(
      Stage,
      'play',
      Array.from({ length: 130 }, () => [undefined] as const),
    );
    const keyed = await Promise.all(
      ['a', 'b', 'a'].map((key) => flows.with({ workPool: pool, fairnessKey: key }).enqueue(Stage, 'play')),
    );
    const worker = await startWorker((stage) => (stage.script = async () => 'done'));
    const taken = await worker.get(RunOnce).done();
    expect([...taken].sort()).toEqual([...plain, ...keyed].map(({ id }) => id).sort());
  });

  it('takes what is due within its prefetch, and waits until that has been executed [W08]', async () => {
    const soon = await enqueue({ in: '2s' }); // it has to be taken before that
    const later = await enqueue({ in: '5m' });
    const worker = await startWorker((stage) => (stage.script = async () => 'done'), { prefetch: '9s' });
    expect(await worker.get(RunOnce).done()).toEqual([soon]);
    expect(await stateTypes([soon, later])).toEqual(['COMPLETED', 'SCHEDULED']);
  });

  it('counts a run that fails as executed [W08]', async () => {
    const id = await enqueue();
    const worker = await startWorker((stage) => {
      stage.script = () => Promise.reject(new Error('no such file'));
    });
    expect(await worker.get(RunOnce).done()).toEqual([id]);
    expect(await stateTypes([id])).toEqual(['FAILED']);
  });

  it('looks again when it could not look, and lets go of what it may have taken without knowing', async () => {
    const id = await enqueue();
    const claims = FlowRunClaimsRepository.prototype;
    const claimQueued = claims.claimQueued;
    const spy = jest.spyOn(claims, 'claimQueued').mockImplementationOnce(async function (
      this: FlowRunClaimsRepository,
      ...asked
    ) {
      await claimQueued.apply(this, asked);
      throw new Error('the answer got lost');
    });
    const worker = await startWorker((stage) => (stage.script = async () => 'done'));
    expect(await worker.get(RunOnce).done()).toEqual([id]);
    expect(spy.mock.calls.length).toBeGreaterThan(1);
    expect(await stateTypes([id])).toEqual(['COMPLETED']);
  });

  it('is over as well when the application is closed before: what it executed goes on elsewhere', async () => {
    const id = await enqueue();
    const gate = new Gate();
    const worker = await startWorker((stage) => (stage.script = () => gate.pass()));
    await gate.reached;
    const done = worker.get(RunOnce).done();
    await worker.app.close();
    expect(await done).toEqual([id]);
    const heir = await startWorker((stage) => (stage.script = async () => 'heir'));
    expect(await heir.get(RunOnce).done()).toEqual([id]);
    expect(await heir.result(id)).toBe('heir');
  });

  it.each([{ worker: false as const }, { worker: {} }])('is nothing to wait for with %j', async (options) => {
    const other = await relay.start('other', undefined, options);
    await expect(other.get(RunOnce).done()).rejects.toMatchObject({ code: 'WORKER_RUNS_ON' });
  });
});
