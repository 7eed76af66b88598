import { currentRun, pause, PauseTimeoutError, suspend, submit } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { IsBoolean, IsInt, IsOptional, IsString, Max, Min, MinLength, ValidateBy } from 'class-validator';
import { RunObserver } from '../../../libs/orchestrator/src/runtime/control/run-observer.service.js';
import { ActiveFlowRuns } from '../../../libs/orchestrator/src/runtime/engine/active-flow-runs.js';
import { Sweeper } from '../../../libs/orchestrator/src/runtime/recovery/sweeper.service.js';
import { bestOf } from '../../support/best-of.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, subflowRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

class Approval {
  @IsBoolean()
  approved!: boolean;

  @IsInt()
  @Min(1)
  @Max(100)
  amount!: number;

  @IsOptional()
  @IsString()
  @MinLength(2)
  note?: string;
}

/** A rule that no schema can say. */
class EvenAnswer {
  @IsInt()
  @ValidateBy({
    name: 'isEven',
    validator: { validate: (value: number) => value % 2 === 0, defaultMessage: () => 'must be even' },
  })
  amount!: number;
}

describe('a flow that pauses itself', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;
  /** It has none of the flows, nor their classes. */
  let elsewhere: RelayProcess;
  let outcomes: unknown[];

  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
    owner = await relay.start('owner');
    elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
    // They look for overdue pauses every few seconds; here a test says when.
    await Promise.all([owner, elsewhere].map((process) => process.get(Sweeper).stop()));
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => {
    outcomes = [];
    owner.stage.performed.length = 0;
  });

  const inState = (id: string, name: string, withinMs?: number) =>
    waitFor(async () => (await flowRunOf(database, id)).state_name === name, withinMs);
  const begin = async (script: Stage['script'], play: 'play' | 'playTwice' = 'play'): Promise<string> => {
    owner.stage.script = script;
    return owner.begin(play);
  };
  const inputsOf = (id: string) =>
    sql<{ key: string; value: string }>(
      database,
      'select key, value from nestor.flow_run_input where flow_run_id = $1 order by key',
      [id],
    );
  const detailsOf = async (id: string): Promise<Record<string, any>> => {
    const [row] = await sql<{ state_details: Record<string, any> }>(
      database,
      `select state_details from nestor.flow_run_state where flow_run_id = $1 and type = 'PAUSED'
        order by timestamp desc limit 1`,
      [id],
    );
    return row!.state_details;
  };

  it.each([
    ['the process that executes it', () => owner],
    ['another process', () => elsewhere],
  ])('goes on within its attempt when %s resumes it [H01]', async (_, where) => {
    const id = await begin(async () => {
      await owner.stage.act('before');
      outcomes.push(await pause());
      return owner.stage.act('after');
    });
    await inState(id, 'Paused');
    expect(await flowRunOf(database, id)).toMatchObject({ process_id: owner.processId });
    await where().control.resume(id);
    expect(await owner.result(id)).toBe('act(after) by owner');
    expect(outcomes).toEqual([undefined]);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Paused', 'Running', 'Completed']);
    expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1 });
  });

  it('goes on well within a second after another process has resumed it [H08]', async () => {
    const stoodStill = async (): Promise<number> => {
      let wentOnAt = 0;
      const id = await begin(async () => {
        await pause();
        wentOnAt = performance.now();
      });
      await inState(id, 'Paused');
      const resumedAt = performance.now();
      await elsewhere.control.resume(id);
      await owner.result(id);
      return wentOnAt - resumedAt;
    };
    expect(await bestOf(1_000, stoodStill)).toBeLessThan(1_000);
  });

  it('does not pause again in its next attempt where it has been resumed already, and gets the same answer [H02]', async () => {
    const id = await begin(async () => {
      outcomes.push(await pause({ input: Number }), await pause({ key: 'second', input: String }));
      if (currentRun().attempt === 1) throw new Error('no');
      return pause({ key: 'second', input: String });
    }, 'playTwice');
    await inState(id, 'Paused');
    await elsewhere.control.resume(id, { input: 7 });
    await waitFor(async () => (await detailsOf(id)).pauseKey === 'second');
    await inState(id, 'Paused');
    await elsewhere.control.resume(id, { input: { value: 'yes' } });
    expect(await owner.result(id)).toBe('yes');
    expect(outcomes).toEqual([7, 'yes', 7, 'yes']);
    expect(await stateNames(database, id)).toEqual([
      ...['Pending', 'Running', 'Paused', 'Running', 'Paused', 'Running', 'AwaitingRetry', 'Running', 'Completed'],
    ]);
  });

  it('fails with PauseTimeoutError when nobody resumes it in time, without another attempt [H03]', async () => {
    const id = await begin(() => pause({ timeout: '50ms' }), 'playTwice');
    expect(await owner.failure(id)).toMatchObject({ code: 'PAUSE_TIMED_OUT', flowRunId: id, timeoutMs: 50 });
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Paused', 'Failed']);
    await expect(elsewhere.control.resume(id)).rejects.toMatchObject({ code: 'RUN_CONTROL_REFUSED' });
  });

  it('fails by whichever process notices when it was not resumed in time, and makes nothing of the error [H03]', async () => {
    const id = await begin(async () => {
      await pause({ timeout: '1ms' }).catch((error: unknown) => outcomes.push(error));
      await owner.stage.act('after');
    });
    await waitFor(() => outcomes.length > 0);
    expect(outcomes[0]).toBeInstanceOf(PauseTimeoutError);
    const peer = await relay.start('peer', undefined, { providers: [] });
    await inState(id, 'Failed');
    await owner.settled();
    expect(owner.stage.performed).toEqual([]);
    await peer.app.close();
  });

  it('fails by another process when its own has died meanwhile [H03]', async () => {
    const others = new Relay(database);
    const mortal = await others.start('mortal', (stage) => (stage.script = () => suspend({ timeout: '1ms' })));
    const id = await mortal.begin('play');
    await inState(id, 'Suspended');
    await mortal.die();
    await others.start('heir');
    // It may die before it has let go of the run: then that is freed first, and looked at in the round after.
    await inState(id, 'Failed', 20_000);
    await others.close();
  });

  it('leaves its process when it suspends itself, and goes on in another one that gets the answer [H04]', async () => {
    const others = new Relay(database);
    const code = (stage: Stage): void => {
      stage.script = async () => {
        const first = await stage.act(1);
        const approval = await suspend({ input: Approval, initial: { amount: 3 } });
        outcomes.push(approval);
        return [first, approval.amount, await stage.act(2), currentRun().attempt];
      };
    };
    const first = await others.start('first', code);
    const id = await first.begin('play');
    await inState(id, 'Suspended');
    await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
    await first.app.close();
    const second = await others.start('second', code);

    expect(await elsewhere.control.resume(id, { input: { approved: true } })).toMatchObject({ name: 'Resuming' });
    expect(await second.result(id)).toEqual(['act(1) by first', 3, 'act(2) by second', 1]);
    expect(outcomes).toEqual([Object.assign(new Approval(), { approved: true, amount: 3 })]);
    expect(outcomes[0]).toBeInstanceOf(Approval);
    expect(await stateNames(database, id)).toEqual([
      ...['Pending', 'Running', 'Suspended', 'Resuming', 'Running', 'Completed'],
    ]);
    expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1, empirical_policy: { recoveries: 0 } });
    await others.close();
  });

  it('waits with its suspension for the tasks that are running [H04]', async () => {
    const gate = new Gate();
    owner.stage.perform = async (call) => {
      await gate.pass();
      return call;
    };
    const id = await begin(async () => {
      const task = submit(owner.stage).act(1);
      await gate.reached;
      await suspend();
      return task.result();
    });
    await inState(id, 'Suspended');
    await waitFor(() => owner.holdsUp(id));
    expect(await flowRunOf(database, id)).toMatchObject({ process_id: owner.processId });
    gate.open();
    await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
    await elsewhere.control.resume(id);
    expect(await owner.result(id)).toBe('act(1)');
    expect(owner.stage.performed).toEqual(['act(1)']);
    owner.stage.perform = async (call) => `${call} by owner`;
  });

  it('says what it asks for, so that a form can be drawn of it [H05]', async () => {
    const id = await begin(() =>
      pause({ key: 'approve', input: Approval, description: 'Refund?', initial: { amount: 3 } }),
    );
    await inState(id, 'Paused');
    expect(await detailsOf(id)).toMatchObject({
      pauseKey: 'approve',
      runInputKeyset: {
        schema: 'paused-approve-schema',
        description: 'paused-approve-description',
        response: 'paused-approve-response',
      },
    });
    const inputs = Object.fromEntries((await inputsOf(id)).map(({ key, value }) => [key, JSON.parse(value)]));
    expect(inputs).toEqual({
      'paused-approve-description': 'Refund?',
      'paused-approve-schema': {
        title: 'Approval',
        type: 'object',
        properties: {
          approved: { title: 'approved', type: 'boolean', position: 0 },
          amount: { title: 'amount', type: 'integer', minimum: 1, maximum: 100, default: 3, position: 1 },
          note: { title: 'note', type: 'string', minLength: 2, position: 2 },
        },
        required: ['approved'],
        additionalProperties: false,
      },
    });
    await elsewhere.control.resume(id, { input: { approved: false } });
    expect(await owner.result(id)).toEqual({ approved: false, amount: 3 });
    expect((await inputsOf(id)).find(({ key }) => key === 'paused-approve-response')).toMatchObject({
      value: '{"approved":false,"amount":3}',
    });
  });

  it.each<[string, unknown, { path: string; problem: string }[]]>([
    ['a field that is missing', { amount: 1 }, [{ path: 'approved', problem: 'must be given' }]],
    ['nothing', undefined, [{ path: 'approved', problem: 'must be given' }]],
    ['a field of another type', { approved: 'perhaps' }, [{ path: 'approved', problem: 'must be true or false' }]],
    ['a number out of bounds', { approved: true, amount: 0 }, [{ path: 'amount', problem: 'must be 1 or more' }]],
    [
      'several things',
      { approved: true, amount: 1.5, note: 'x', more: 1 },
      [
        { path: 'amount', problem: 'must be a whole number' },
        { path: 'note', problem: 'must have 2 characters or more' },
        { path: 'more', problem: 'is not known' },
      ],
    ],
  ])('stays paused when it is answered with %s, in a process without its class [H05]', async (_, input, problems) => {
    const id = await begin(() => pause({ input: Approval, initial: { amount: 3 } }));
    await inState(id, 'Paused');
    const refused = elsewhere.control.resume(id, { input });
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_RUN_INPUT', flowRunId: id });
    expect(await refused.catch((error: { problems: unknown[] }) => error.problems)).toEqual(
      expect.arrayContaining(problems),
    );
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'PAUSED' });
    expect((await inputsOf(id)).filter(({ key }) => key.endsWith('-response'))).toEqual([]);
    await elsewhere.control.resume(id, { input: { approved: true } });
    expect(await owner.result(id)).toEqual({ approved: true, amount: 3 });
  });

  it('is answered the same by an instance and by JSON', async () => {
    const answers: unknown[] = [];
    const plain = { approved: true, amount: 5 };
    for (const input of [plain, Object.assign(new Approval(), plain)]) {
      const id = await begin(async () => pause({ input: Approval }));
      await inState(id, 'Paused');
      await elsewhere.control.resume(id, { input });
      answers.push(await owner.result(id));
    }
    expect(answers).toEqual([plain, plain]);
  });

  it('fails when the answer breaks a rule that its schema cannot say, and asks again in the next attempt', async () => {
    const id = await begin(() => pause({ input: EvenAnswer }), 'playTwice');
    await inState(id, 'Paused');
    await elsewhere.control.resume(id, { input: { amount: 3 } });
    await waitFor(async () => (await flowRunOf(database, id)).run_count === 2);
    await inState(id, 'Paused');
    await elsewhere.control.resume(id, { input: { amount: 4 } });
    expect(await owner.result(id)).toEqual({ amount: 4 });
  });

  it('takes no input where it asks for none', async () => {
    const id = await begin(() => pause());
    await inState(id, 'Paused');
    await expect(elsewhere.control.resume(id, { input: { approved: true } })).rejects.toMatchObject({
      code: 'RUN_CONTROL_REFUSED',
    });
    await elsewhere.control.resume(id, { input: {} });
    await owner.result(id);
  });

  it('takes one answer when two come at once, and that is the one it gets', async () => {
    const id = await begin(() => pause({ input: Number }));
    await inState(id, 'Paused');
    const answers = [1, 2, 3, 4].map(async (input) => {
      await (input % 2 ? owner : elsewhere).control.resume(id, { input });
      return input;
    });
    const settled = await Promise.allSettled(answers);
    const accepted = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(accepted).toHaveLength(1);
    expect(await owner.result(id)).toBe(accepted[0]);
  });

  it('is cancelled like any other run', async () => {
    const id = await begin(() => pause());
    await inState(id, 'Paused');
    await elsewhere.control.cancel(id);
    expect(await owner.failure(id)).toMatchObject({ code: 'RUN_CANCELLED' });
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Paused', 'Cancelling', 'Cancelled']);
  });

  it('ends when it comes to its pause after somebody has ended it, before it could hear of that', async () => {
    const gate = new Gate();
    const id = await begin(async () => {
      await gate.pass();
      await pause();
      return owner.stage.act('after');
    });
    await gate.reached;
    await owner.settled();
    const deaf = jest.spyOn(owner.get(RunObserver), 'round' as never).mockResolvedValue(10 as never);
    await elsewhere.control.cancel(id);
    gate.open();
    expect(await owner.failure(id)).toMatchObject({ code: 'RUN_CANCELLED' });
    deaf.mockRestore();
    await owner.settled();
    expect(owner.stage.performed).toEqual([]);
  });

  it('is not let go by who had looked at it before it paused', async () => {
    const id = await begin(() => pause({ input: Number }));
    await inState(id, 'Paused');
    await waitFor(() => owner.holdsUp(id));
    owner.get(ActiveFlowRuns).find(id)!.gate.open(); // as an observer does that has read RUNNING
    await waitFor(() => owner.holdsUp(id));
    await elsewhere.control.resume(id, { input: 1 });
    expect(await owner.result(id)).toBe(1);
  });

  it('waits until it goes on when somebody else has paused it by then', async () => {
    const gate = new Gate();
    const id = await begin(async () => {
      await gate.pass();
      return pause({ input: Number });
    });
    await gate.reached;
    await owner.settled();
    await elsewhere.control.pause(id);
    gate.open();
    await waitFor(() => owner.holdsUp(id));
    await elsewhere.control.resume(id);
    await waitFor(async () => (await stateNames(database, id)).filter((name) => name === 'Paused').length === 2);
    await elsewhere.control.resume(id, { input: 1 });
    expect(await owner.result(id)).toBe(1);
  });

  it('is asked once where it comes past two pauses at the same time, and then again', async () => {
    const id = await begin(() =>
      Promise.all([pause({ key: 'one', input: String }), pause({ key: 'two', input: String })]),
    );
    for (const count of [1, 2]) {
      await waitFor(async () => (await stateNames(database, id)).filter((name) => name === 'Paused').length === count);
      await inState(id, 'Paused');
      await elsewhere.control.resume(id, { input: (await detailsOf(id)).pauseKey as string });
    }
    expect(await owner.result(id)).toEqual(['one', 'two']);
  });

  describe('within another one', () => {
    it('holds up its caller as well', async () => {
      owner.stage.scene = () => pause({ input: String });
      const id = await begin(() => owner.stage.enact());
      const [subflow] = await waitFor(async () => {
        const runs = await subflowRunsOf(database, id);
        return runs[0]?.state_name === 'Paused' && runs;
      });
      expect(await flowRunOf(database, id)).toMatchObject({ state_name: 'Running' });
      await elsewhere.control.resume(subflow!.id, { input: 'on' });
      expect(await owner.result(id)).toBe('on');
    });

    it('cannot suspend itself, because its caller waits for it', async () => {
      owner.stage.scene = () => suspend();
      const id = await begin(() => owner.stage.enact());
      expect(await owner.failure(id)).toMatchObject({ code: 'RUN_CONTROL_REFUSED', action: 'suspend' });
    });

    it('asks again when its process dies before anybody has answered', async () => {
      const others = new Relay(database);
      const code = (stage: Stage): void => {
        stage.scene = () => pause({ input: String });
        stage.script = () => stage.enact();
      };
      const mortal = await others.start('mortal', code);
      const id = await mortal.begin('play');
      const paused = () =>
        waitFor(async () => (await subflowRunsOf(database, id)).find(({ state_name }) => state_name === 'Paused'));
      const subflow = await paused();
      await mortal.die();
      const heir = await others.start('heir', code);
      await waitFor(
        async () => (await stateNames(database, subflow.id)).filter((name) => name === 'Paused').length === 2,
      );
      await elsewhere.control.resume(subflow.id, { input: 'at last' });
      expect(await heir.result(id)).toBe('at last');
      expect(await stateNames(database, subflow.id)).toEqual([
        ...['Pending', 'Running', 'Paused', 'AwaitingResume', 'Running', 'Paused', 'Running', 'Completed'],
      ]);
      await others.close();
    });
  });

  describe('cannot', () => {
    it.each([
      ['pause', () => pause()],
      ['suspend', () => suspend()],
    ])('do so in a task, or outside any run: %s', async (_, how) => {
      owner.stage.direction = how;
      const id = await begin(() => owner.stage.direct());
      expect(await owner.failure(id)).toMatchObject({ code: 'NOT_IN_FLOW_BODY' });
      await expect(how()).rejects.toMatchObject({ code: 'NOT_IN_FLOW_BODY' });
    });

    it.each([
      ['of a class of which nothing is known', () => pause({ input: Map })],
      ['with a key that is none', () => pause({ key: 'a/b' })],
      ['with initial values that its class has not', () => pause({ input: Approval, initial: { other: 1 } as object })],
    ])('ask for something %s', async (_, how) => {
      const id = await begin(how);
      expect(await owner.failure(id)).toMatchObject({ code: 'INVALID_OPTION' });
    });
  });
});
