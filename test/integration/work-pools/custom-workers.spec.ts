import { Injectable } from '@nestjs/common';
import {
  BaseWorker,
  FlowRuns,
  Flows,
  HandedOverRuns,
  WorkPools,
  type HandedLease,
  type JobEnd,
  type WorkerJob,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

/** A worker whose infrastructure is what a test says. */
@Injectable()
class BoxWorker extends BaseWorker {
  readonly type = 'box';
  override readonly baseJobTemplate = {
    job_configuration: { image: '{{ image }}', env: '{{ env }}', cpu: '{{ cpu }}' },
    variables: {
      type: 'object',
      properties: { image: { type: 'string', default: 'app:1' }, env: { type: 'object' }, cpu: { type: 'number' } },
    },
  };
  readonly jobs: WorkerJob[] = [];
  readonly kills: [identifier: string, image: unknown, graceMs: number][] = [];
  boxes = 0;
  /** What happens in a box. */
  inside: (lease: HandedLease, job: WorkerJob) => Promise<JobEnd> = async () => ({ exitCode: 0 });

  async run(job: WorkerJob): Promise<JobEnd> {
    this.jobs.push(job);
    await job.started(`box-${(this.boxes += 1)}`);
    return this.inside(job.lease, job);
  }

  async kill(identifier: string, { image }: Readonly<Record<string, unknown>>, graceMs: number): Promise<void> {
    this.kills.push([identifier, image, graceMs]);
  }
}

describe('workers of a class of your own', () => {
  let database: TestDatabase;
  let relay: Relay;
  let pool: string;
  let worker: RelayProcess;
  let boxes: BoxWorker;
  let inside: RelayProcess;
  let count = 0;
  const gates: Gate[] = [];

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    await database.drop();
  });
  const startWorker = (boxWorker: BoxWorker): Promise<RelayProcess> =>
    relay.start('worker', undefined, {
      worker: { pools: [{ name: pool, type: 'box' }], unqueued: false },
      providers: [
        { provide: Stage, useFactory: () => new Stage() },
        { provide: BoxWorker, useValue: boxWorker },
      ],
    });
  beforeEach(async () => {
    relay = new Relay(database);
    pool = `pool-${(count += 1)}`;
    boxes = new BoxWorker();
    worker = await startWorker(boxes);
    await waitFor(async () => (await worker.get(WorkPools).find(pool))?.status === 'READY');
    // What is in a box: an application that claims nothing by itself.
    inside = await relay.start('box', (stage) => (stage.script = async () => stage.owner), { worker: false });
  });
  afterEach(async () => {
    for (const gate of gates.splice(0)) gate.open();
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
  });

  const newGate = (): Gate => {
    const gate = new Gate();
    gates.push(gate);
    return gate;
  };
  const takeOver = (lease: HandedLease): Promise<void> => inside.get(HandedOverRuns).execute(lease);
  const enqueue = async (): Promise<string> =>
    (await inside.get(Flows).with({ workPool: pool }).enqueue(Stage, 'play')).id;
  const endOf = async (id: string): Promise<{ state: string; message: string | null }> => {
    await waitFor(async () => /CRASHED|CANCELLED|COMPLETED|FAILED/.test((await flowRunOf(database, id)).state_type));
    const [row] = await sql<{ state: string; message: string | null }>(
      database,
      `select type as state, message from nestor.flow_run_state where flow_run_id = $1 order by timestamp desc limit 1`,
      [id],
    );
    return row!;
  };

  it('start infrastructure for runs of their pools, which takes the run over and executes it [W16]', async () => {
    boxes.inside = async (lease) => {
      await takeOver(lease);
      return { exitCode: 0 };
    };
    const id = await enqueue();
    expect(await inside.result(id)).toBe('box');
    expect(await stateNames(database, id)).toEqual(['Scheduled', 'Pending', 'Submitting', 'Running', 'Completed']);
    const [row] = await sql(database, 'select infrastructure_pid, process_id from nestor.flow_run where id = $1', [id]);
    expect(row).toEqual({ infrastructure_pid: 'box-1', process_id: null });
    expect(boxes.jobs).toMatchObject([
      { flowRunId: id, flowName: 'play', deploymentId: null, configuration: { image: 'app:1' } },
    ]);
    expect(boxes.kills).toEqual([]);
  });

  it('make pools with the template of their type, and fill in what deployment and run say [W06] [W16]', async () => {
    expect(await worker.get(WorkPools).get(pool)).toMatchObject({
      type: 'box',
      baseJobTemplate: boxes.baseJobTemplate,
    });
    await worker.get(WorkPools).pause(pool);
    const id = await enqueue();
    await sql(database, `update nestor.flow_run set job_variables = '{"cpu": 2, "env.A": "1"}' where id = $1`, [id]);
    await worker.get(WorkPools).resume(pool);
    await endOf(id);
    expect(boxes.jobs[0]!.configuration).toEqual({ image: 'app:1', cpu: 2, env: { A: '1' } });
  });

  it.each<[string, JobEnd, RegExp]>([
    ['an exit code that is known', { exitCode: 137 }, /exit code 137: .*out of memory/],
    ['a signal', { exitCode: null, signal: 'SIGKILL' }, /with SIGKILL: .*out of memory/],
    ['an exit code of its own', { exitCode: 3 }, /ended with exit code 3\.$/],
    ['its own words', { exitCode: 1, message: 'The node was drained.' }, /^The node was drained\.$/],
    ['no code at all, without having begun', { exitCode: 0 }, /without having begun it/],
  ])('note how infrastructure ended: with %s [W11]', async (_, end, message) => {
    boxes.inside = async () => end;
    const id = await enqueue();
    expect(await endOf(id)).toEqual({ state: 'CRASHED', message: expect.stringMatching(message) as string });
    expect(await stateNames(database, id)).toEqual(['Scheduled', 'Pending', 'Submitting', 'Crashed']);
  });

  describe('when infrastructure ends under a run that it is executing', () => {
    /** What happens in the first box: it takes the run over, and ends in the middle of it. */
    const dyingBox = (end: JobEnd): { readonly under: Gate } => {
      const [gate, under] = [newGate(), newGate()];
      inside.stage.script = async () => {
        const kept = await inside.stage.act(1);
        await gate.pass();
        return kept;
      };
      boxes.inside = async (lease) => {
        void takeOver(lease);
        await under.pass();
        return end;
      };
      return { under };
    };
    const begun = async (id: string): Promise<void> => {
      await waitFor(async () => (await taskRunsOf(database, id)).some((task) => task.state_type === 'COMPLETED'));
      await inside.settled();
    };

    it('have the run go on from its records, like that of a process which died', async () => {
      const { under } = dyingBox({ exitCode: 139 });
      const id = await enqueue();
      await begun(id);
      const another = await relay.start('another', (stage) => (stage.script = () => stage.act(1)), { worker: false });
      boxes.inside = async (lease) => {
        await another.get(HandedOverRuns).execute(lease);
        return { exitCode: 0 };
      };
      under.open();
      expect(await another.result(id)).toBe('act(1) by box');
      expect(another.stage.performed).toEqual([]);
      expect(boxes.jobs).toHaveLength(2);
      const { states } = await another.get(FlowRuns).get(id);
      expect(states.find(({ name }) => name === 'AwaitingResume')?.message).toMatch(/exit code 139: .*invalid address/);
      expect((await flowRunOf(database, id)).empirical_policy.recoveries).toBe(1);
    });

    it('note that it crashed, where it says that it does not go on [W11]', async () => {
      const { under } = dyingBox({ exitCode: 139, goesOn: false });
      const id = await enqueue();
      await begun(id);
      under.open();
      expect(await endOf(id)).toMatchObject({ state: 'CRASHED', message: expect.stringContaining('139') as string });
    });

    it('note that it crashed, when it has been tried often enough [W11]', async () => {
      const { under } = dyingBox({ exitCode: 137 });
      const id = await enqueue();
      await begun(id);
      await sql(
        database,
        `update nestor.flow_run set empirical_policy = empirical_policy || '{"recoveries": 10}' where id = $1`,
        [id],
      );
      under.open();
      expect(await endOf(id)).toMatchObject({ state: 'CRASHED', message: expect.stringContaining('memory') as string });
    });
  });

  it('note what kept infrastructure from being started', async () => {
    boxes.inside = () => Promise.reject(new Error('no such image'));
    expect(await endOf(await enqueue())).toMatchObject({
      state: 'CRASHED',
      message: expect.stringContaining('could not be started: Error: no such image') as string,
    });
  });

  it('hand a run over once', async () => {
    const second: unknown[] = [];
    boxes.inside = async (lease) => {
      await takeOver(lease);
      await takeOver(lease).catch((error: unknown) => second.push(error));
      return { exitCode: 0 };
    };
    const id = await enqueue();
    expect(await inside.result(id)).toBe('box');
    await waitFor(() => second.length > 0);
    expect(second).toMatchObject([{ code: 'RUN_NOT_HANDED_OVER', flowRunId: id }]);
  });

  it('end infrastructure of a run that is cancelled, with a grace period; the run is cancelled when it has ended [W10]', async () => {
    const end = newGate();
    boxes.inside = async () => {
      await end.pass();
      return { exitCode: 143 };
    };
    const id = await enqueue();
    await end.reached;
    await inside.control.cancel(id);
    await waitFor(() => boxes.kills.length > 0);
    expect(boxes.kills).toEqual([['box-1', 'app:1', 30_000]]);
    expect(boxes.jobs[0]!.signal.aborted).toBe(true);
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'CANCELLING' });
    end.open();
    expect(await endOf(id)).toMatchObject({ state: 'CANCELLED' });
  });

  it('are asked again to end what they could not, however they failed', async () => {
    const end = newGate();
    boxes.inside = async () => {
      await end.pass();
      return { exitCode: 143 };
    };
    let asked = 0;
    boxes.kill = () => {
      asked += 1;
      if (asked === 1) throw new Error('not now'); // at once, as a method does that is not async
      return Promise.resolve(end.open());
    };
    const id = await enqueue();
    await end.reached;
    await inside.control.cancel(id);
    expect(await endOf(id)).toMatchObject({ state: 'CANCELLED' });
    expect(asked).toBe(2);
  }, 20_000);

  it('say nothing of a run that somebody else goes on with', async () => {
    const end = newGate();
    boxes.inside = async ({ flowRunId }) => {
      await sql(database, `update nestor.flow_run set lease_epoch = lease_epoch + 2, process_id = null where id = $1`, [
        flowRunId,
      ]);
      await end.pass();
      return { exitCode: 1 };
    };
    const id = await enqueue();
    await end.reached;
    end.open();
    await waitFor(() => worker.get(RunClaimer).size === 0);
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'PENDING', state_name: 'Submitting' });
  });

  it('end what would end with their process when that shuts down, and its run goes on elsewhere [R05]', async () => {
    const gate = newGate();
    boxes.inside = async () => {
      await gate.pass();
      return { exitCode: 143 };
    };
    boxes.kill = async () => gate.open();
    const id = await enqueue();
    await gate.reached;
    await worker.app.close();
    expect(await stateNames(database, id)).toEqual(['Scheduled', 'Pending', 'Submitting', 'AwaitingResume']);
    expect(await flowRunOf(database, id)).toMatchObject({ process_id: null, empirical_policy: { recoveries: 0 } });
    const heir = new BoxWorker();
    heir.inside = async (lease) => {
      await takeOver(lease);
      return { exitCode: 0 };
    };
    await startWorker(heir);
    expect(await inside.result(id)).toBe('box');
  });

  it('are looked for among the providers', async () => {
    await expect(
      relay.start('worker', undefined, { worker: { pools: [{ name: pool, type: 'ship' }] } }),
    ).rejects.toMatchObject({ code: 'WORKER_TYPE_UNKNOWN', workerType: 'ship' });
  });

  it('get no runs of a pool of another type, and say so', async () => {
    const stranger = await relay.start('stranger', undefined, { worker: { pools: [pool], unqueued: false } });
    await waitFor(() => stranger.logger.lines.some(({ message }) => message.includes('is of type "box"')));
  });
});
