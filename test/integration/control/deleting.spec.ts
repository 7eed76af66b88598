import { Injectable } from '@nestjs/common';
import { Flow, FlowRuns, Flows, StateType, suspend, type HookContext } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

/** A flow that is told of its cancellation. */
@Injectable()
class Told {
  static readonly cancelled: string[] = [];

  @Flow({ name: 'told', onCancellation: ['note'] })
  async tell(): Promise<void> {}

  note({ run }: HookContext): void {
    Told.cancelled.push(run.id);
  }
}

describe('runs that somebody deletes', () => {
  let database: TestDatabase;
  let relay: Relay;
  let client: RelayProcess;
  let flowRuns: FlowRuns;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(async () => {
    relay = new Relay(database);
    client = await relay.start('client', undefined, { worker: false });
    flowRuns = client.get(FlowRuns);
  });
  afterEach(() => relay.close());

  const startWorker = (prepare: (stage: Stage) => void): Promise<RelayProcess> => relay.start('worker', prepare);
  const enqueue = async (count: number, params?: unknown): Promise<string[]> => {
    const calls = Array.from({ length: count }, () => [params] as [unknown]);
    return (await client.get(Flows).enqueueAll(Stage, 'play', calls)).map(({ id }) => id);
  };
  const areThere = async (ids: readonly string[]): Promise<string[]> =>
    (await sql<{ id: string }>(database, 'select id from nestor.flow_run where id = any($1) order by id', [ids])).map(
      ({ id }) => id,
    );

  it('go by fifty at most, those that are not there are passed over, and what cannot be meant is refused [D12]', async () => {
    const ids = await enqueue(52);
    const unknown = newId();
    await expect(flowRuns.deleteMany(ids.slice(0, 51))).rejects.toMatchObject({
      code: 'INVALID_QUERY',
      message: '51 flow runs are to be deleted at once; give up to 50 ids, and the others after them.',
    });
    await expect(flowRuns.deleteMany([ids[0]!, 'the first'])).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    await expect(flowRuns.deleteMany({})).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    await expect(flowRuns.deleteMany({ flowName: 'play', limit: 51 })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    expect(await areThere(ids)).toHaveLength(52);

    const { deleted, refused } = await flowRuns.deleteMany([unknown, ids[0]!, ...ids.slice(0, 48)]);
    expect([deleted, refused]).toEqual([ids.slice(0, 48), []]);
    expect(await areThere(ids)).toEqual(ids.slice(48));
    expect(await flowRuns.deleteMany([])).toEqual({ deleted: [], refused: [] });
    expect(await flowRuns.deleteMany(ids.slice(0, 1))).toEqual({ deleted: [], refused: [] });
    await expect(flowRuns.delete(ids[0]!)).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    await expect(flowRuns.delete('the first')).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    expect(await flowRuns.deleteMany({ flowName: 'nobody has it' })).toEqual({ deleted: [], refused: [] });
    await flowRuns.deleteMany(ids.slice(48));
  });

  it('are chosen by flow and state, newest first, those within others not among them [D12]', async () => {
    const worker = await startWorker((stage) => {
      stage.script = async (how) => {
        if (how === 'fails') throw new Error('it fails');
        return stage.enact().catch(() => 'caught');
      };
      stage.scene = () => Promise.reject(new Error('the scene fails'));
    });
    const failing = await enqueue(3, 'fails');
    const [fine] = (await enqueue(1)) as [string];
    await Promise.all([...failing.map((id) => worker.failure(id)), worker.result(fine)]);
    const failed = { stateTypes: [StateType.Failed] };
    expect(await flowRuns.list(failed)).toHaveLength(4); // and the scene
    expect(await flowRuns.deleteMany({ ...failed, limit: 2 })).toEqual({
      deleted: [failing[2], failing[1]],
      refused: [],
    });
    expect(await flowRuns.deleteMany({ ...failed, flowName: 'play' })).toEqual({ deleted: [failing[0]], refused: [] });
    expect(await flowRuns.deleteMany(failed)).toEqual({ deleted: [], refused: [] });
    expect(await flowRuns.list(failed)).toHaveLength(1);
    await flowRuns.delete(fine);
    expect(await flowRuns.list(failed)).toEqual([]);
  });

  it('stay while they are executed, and keep none of the others from going [D12]', async () => {
    const gate = new Gate();
    const worker = await startWorker((stage) => (stage.script = () => gate.pass()));
    const [id] = (await enqueue(1)) as [string];
    await gate.reached;
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'RUNNING');
    const [waiting] = (
      await client
        .get(Flows)
        .with({ in: '1h' })
        .enqueueAll(Stage, 'play', [[undefined]])
    ).map((run) => run.id) as [string];
    const { deleted, refused } = await flowRuns.deleteMany([id, waiting]);
    expect(deleted).toEqual([waiting]);
    expect(refused.map(String)).toEqual([
      `FlowRunActiveError: Flow run ${id} is RUNNING, and is not deleted while somebody executes it, or what is within it; ` +
        'cancel it first, with RunControl.cancel(), and delete it when it has ended.',
    ]);
    await worker.control.cancel(id);
    await expect(flowRuns.delete(id)).rejects.toMatchObject({ code: 'FLOW_RUN_ACTIVE', stateType: 'CANCELLING' });
    gate.open();
    await worker.failure(id);
    await flowRuns.delete(id);
    expect(await areThere([id])).toEqual([]);
  });

  it('are executed by nobody any more when they waited, suspended ones too, and no hook is told [D12]', async () => {
    const teller = await relay.start('teller', undefined, { providers: [Told] });
    const flows = teller.get(Flows);
    const [told, other] = await flows.with({ in: '2s' }).enqueueAll(Told, 'tell', [[], []]);
    const worker = await startWorker((stage) => {
      stage.script = async () => {
        await stage.act(1);
        await suspend();
        return stage.act(2);
      };
    });
    const [suspended] = (await enqueue(1)) as [string];
    await waitFor(async () => {
      const row = await flowRunOf(database, suspended);
      return row.state_type === 'PAUSED' && row.process_id === null;
    });
    const result = flowRuns.result(suspended, { timeout: '10s' });
    expect(await flowRuns.deleteMany([told!.id, suspended])).toMatchObject({ deleted: [told!.id, suspended] });
    // What waits is ended first: whoever waits for it may come to see that.
    await expect(result).rejects.toMatchObject({ code: expect.stringMatching(/^(RUN_CANCELLED|FLOW_RUN_NOT_FOUND)$/) });
    await expect(worker.control.resume(suspended)).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    await teller.control.cancel(other!.id); // whose hook comes after any that somebody had owed before
    await waitFor(() => Told.cancelled.includes(other!.id));
    expect(Told.cancelled).toEqual([other!.id]);
    expect(worker.stage.performed).toEqual(['act(1)']);
  });

  it('are made anew by who asks for them with their key, or shares them [D12]', async () => {
    const flows = client.get(Flows);
    const first = await flows.with({ idempotencyKey: 'one' }).enqueue(Stage, 'play');
    const shared = await flows.with({ singleton: 'one' }).enqueue(Stage, 'play');
    await flowRuns.deleteMany([first.id, shared.id]);
    const again = await flows.with({ idempotencyKey: 'one' }).enqueue(Stage, 'play');
    const sharedAgain = await flows.with({ singleton: 'one' }).enqueue(Stage, 'play');
    expect(await areThere([first.id, shared.id, again.id, sharedAgain.id])).toEqual([again.id, sharedAgain.id]);
  });

  it('go, or go on, as a whole when somebody takes them at the same moment [D12]', async () => {
    const worker = await startWorker((stage) => (stage.script = () => stage.act(1)));
    const ids = await enqueue(200);
    const parts = [0, 50, 100, 150].map((from) => ids.slice(from, from + 50));
    const answers = await Promise.all(parts.map((part) => flowRuns.deleteMany(part)));
    const deleted = answers.flatMap((answer) => answer.deleted);
    const refused = answers.flatMap((answer) => answer.refused.map(({ flowRunId }) => flowRunId));
    expect([...deleted, ...refused].sort()).toEqual(ids);
    await Promise.all(refused.map((id) => worker.result(id)));
    expect(await areThere(ids)).toEqual([...refused].sort());
    const left = await sql(
      database,
      `select flow_run_id from nestor.flow_run_state where flow_run_id = any($1)
        union select flow_run_id from nestor.task_run where flow_run_id = any($1)`,
      [deleted],
    );
    expect(left).toEqual([]);
    for (let from = 0; from < refused.length; from += 50) await flowRuns.deleteMany(refused.slice(from, from + 50));
    expect(await areThere(ids)).toEqual([]);
  });
});
