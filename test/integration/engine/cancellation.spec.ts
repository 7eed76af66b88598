import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, Flow, FlowRuns, Flows, RunCancelledError, RunEndedError, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { FlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import { OrchestratorEngine } from '../../../libs/orchestrator/src/runtime/engine/orchestrator-engine.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Stage {
  body: () => Promise<unknown> = async () => undefined;

  @Flow()
  async play(): Promise<unknown> {
    return this.body();
  }

  @Flow({ retries: 3, retryDelay: '1s' })
  async playAgain(): Promise<unknown> {
    return this.body();
  }

  @Task()
  async step(): Promise<string> {
    return 'stepped';
  }
}

describe('a flow run whose state somebody else changes while it runs', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let stage: Stage;
  let gate: Gate;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Stage] });
    stage = app.get(Stage);
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => (gate = new Gate()));

  /** Another node enters a state in a statement of its own, as its door would. */
  const enter = async (id: string, type: string, name: string): Promise<void> => {
    await sql(
      database,
      `with state as (
         insert into nestor.flow_run_state (flow_run_id, timestamp, id, type, name, follows)
         select id, clock_timestamp(), gen_random_uuid(), $2, $3, state_id from nestor.flow_run where id = $1
         returning *
       )
       update nestor.flow_run r
          set state_id = s.id, state_type = s.type, state_name = s.name, state_timestamp = s.timestamp,
              end_time = case when s.type = 'CANCELLED' then s.timestamp end, next_scheduled_start_time = null
         from state s where r.id = s.flow_run_id`,
      [id, type, name],
    );
  };
  const settled = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

  it.each<[string, () => Promise<unknown>]>([
    ['returns', async () => 'done'],
    ['throws', () => Promise.reject(new Error('too late to fail'))],
  ])('stays CANCELLED when its body %s later, and its caller hears of it', async (_, rest) => {
    stage.body = async () => {
      await gate.pass();
      return rest();
    };
    const { id } = await app.get(Flows).start(Stage, 'play');
    const waiting = settled(app.get(FlowRuns).result(id));
    await gate.reached;
    await waitFor(async () => (await stateNames(database, id)).includes('Running'));
    await enter(id, 'CANCELLED', 'Cancelled');
    gate.open();

    expect(await waiting).toBeInstanceOf(RunCancelledError);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelled']);
    expect(await sql(database, 'select state_type, result from nestor.flow_run where id = $1', [id])).toEqual([
      { state_type: 'CANCELLED', result: null },
    ]);
  });

  it('gives a plain call the same answer', async () => {
    let id = '';
    stage.body = async () => {
      id = currentRun().flowRunId!;
      await stage.step(); // with its outcome, the run's RUNNING is durable
      await enter(id, 'CANCELLED', 'Cancelled');
      return 'done';
    };
    const failure = await settled(stage.play());
    expect(failure).toBeInstanceOf(RunCancelledError);
    expect(failure).toMatchObject({ code: 'RUN_CANCELLED', flowRunId: id });
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelled']);
  });

  it('begins no attempt that it waited for when that happened', async () => {
    const attempts: number[] = [];
    stage.body = async () => {
      attempts.push(currentRun().attempt);
      throw new Error('try again');
    };
    const { id } = await app.get(Flows).start(Stage, 'playAgain');
    const waiting = settled(app.get(FlowRuns).result(id));
    await waitFor(async () => (await stateNames(database, id)).includes('AwaitingRetry'));
    await enter(id, 'CANCELLED', 'Cancelled');

    expect(await waiting).toBeInstanceOf(RunCancelledError);
    await waitFor(() => !app.get(OrchestratorEngine).endOf(id));
    expect(attempts).toEqual([1]);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingRetry', 'Cancelled']);
  });

  it('fires the signal of an attempt that has begun before that was known, and cuts it off', async () => {
    let signal: AbortSignal | undefined;
    let late: unknown;
    stage.body = async () => {
      ({ signal } = currentRun());
      await gate.pass();
      return (late = await settled(stage.step()));
    };
    const flowRuns = app.get(FlowRunsRepository);
    const move = flowRuns.move.bind(flowRuns);
    jest.spyOn(flowRuns, 'move').mockImplementationOnce(async (tx, fence, moves, states) => {
      await enter(moves[0]!.run.id, 'CANCELLED', 'Cancelled'); // just before it is RUNNING
      return move(tx, fence, moves, states);
    });
    const { id } = await app.get(Flows).start(Stage, 'play');
    const waiting = settled(app.get(FlowRuns).result(id));

    expect(await waiting).toBeInstanceOf(RunCancelledError);
    await gate.reached;
    await waitFor(() => signal?.aborted);
    expect(signal!.reason).toBeInstanceOf(RunEndedError);
    expect(signal!.reason).toMatchObject({ reason: 'it is Cancelled' });
    gate.open();
    await waitFor(() => late);
    expect(late).toBeInstanceOf(RunEndedError);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Cancelled']);
  });

  it('is CANCELLED at its next transition when somebody asked for that', async () => {
    stage.body = async () => {
      await gate.pass();
      return 'done';
    };
    const { id } = await app.get(Flows).start(Stage, 'play');
    await gate.reached;
    await waitFor(async () => (await stateNames(database, id)).includes('Running'));
    await enter(id, 'CANCELLING', 'Cancelling');
    gate.open();

    expect(await settled(app.get(FlowRuns).result(id, { timeout: '5s' }))).toBeInstanceOf(RunCancelledError);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Cancelling', 'Cancelled']);
  });

  it('does not disturb the runs that are written along with it', async () => {
    const gates = Array.from({ length: 5 }, () => new Gate());
    let next = 0;
    stage.body = async () => {
      const mine = gates[next++]!;
      await mine.pass();
      return 'done';
    };
    const handles = await Promise.all(gates.map(() => app.get(Flows).start(Stage, 'play')));
    await Promise.all(gates.map(({ reached }) => reached));
    await waitFor(async () => (await stateNames(database, handles[2]!.id)).includes('Running'));
    await enter(handles[2]!.id, 'CANCELLED', 'Cancelled');
    gates.forEach((each) => each.open()); // all five outcomes meet in one batch
    const outcomes = await Promise.all(handles.map((handle) => settled(handle.result())));

    expect(outcomes).toEqual(['done', 'done', expect.any(RunCancelledError), 'done', 'done']);
  });
});
