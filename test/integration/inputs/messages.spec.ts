import { currentRun, receiveInput, receiveInputs, RunInputs, sendInput, sleep } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { IsDate, IsInt, IsString } from 'class-validator';
import { Notifier } from '../../../libs/orchestrator/src/runtime/notifications/notifier.service.js';
import { bestOf } from '../../support/best-of.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

class Question {
  @IsString()
  text!: string;

  @IsDate()
  askedAt!: Date;
}

class Answer {
  @IsInt()
  number!: number;
}

const question = (text: string): Question =>
  Object.assign(new Question(), { text, askedAt: new Date('2026-01-02T03:04:05Z') });

describe('inputs of flow runs', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;
  let elsewhere: RelayProcess;

  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
    owner = await relay.start('owner');
    elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const begin = (script: Stage['script'], play: 'play' | 'playTwice' = 'play'): Promise<string> => {
    owner.stage.script = script;
    return owner.begin(play);
  };
  const send = (id: string, value: unknown, options?: Parameters<RunInputs['send']>[2]): Promise<void> =>
    elsewhere.get(RunInputs).send(id, value, options);
  const inputsOf = (id: string) =>
    sql<{ key: string; value: string; sender: string | null }>(
      database,
      'select key, value, sender from nestor.flow_run_input where flow_run_id = $1 order by created',
      [id],
    );

  it('lead two runs into a conversation [H07]', async () => {
    const served = await begin(async () => {
      const questions: unknown[] = [];
      for await (const { value, respond } of receiveInputs(Question)) {
        questions.push(value);
        await respond(Object.assign(new Answer(), { number: value.text.length }));
        if (questions.length === 2) break;
      }
      return questions;
    });
    await waitFor(async () => (await flowRunOf(database, served)).state_type === 'RUNNING');
    const answers: unknown[] = [];
    const asked = await begin(async () => {
      for (const text of ['how', 'why?']) {
        await sendInput(served, question(text));
        answers.push(await receiveInput(Answer));
      }
      return answers;
    });
    expect(await owner.result(asked)).toEqual([{ number: 3 }, { number: 4 }]);
    expect(answers[0]).toBeInstanceOf(Answer);
    expect(await owner.result(served)).toEqual([question('how'), question('why?')].map((one) => ({ ...one })));
    const [first] = await inputsOf(served);
    expect(first).toMatchObject({
      key: expect.stringMatching(/^question-auto-[\da-f-]{36}$/),
      sender: `prefect.flow-run.${asked}`,
      value: '{"text":"how","askedAt":"2026-01-02T03:04:05.000Z"}',
    });
  });

  it('are there well within a second, from another process [H08]', async () => {
    const onItsWay = async (): Promise<number> => {
      let receivedAt = 0;
      const id = await begin(async () => {
        const text = await receiveInput(String);
        receivedAt = performance.now();
        return text;
      });
      await waitFor(async () => (await flowRunOf(database, id)).state_type === 'RUNNING');
      const sentAt = performance.now();
      await send(id, 'hello');
      expect(await owner.result(id)).toBe('hello');
      return receivedAt - sentAt;
    };
    expect(await bestOf(1_000, onItsWay)).toBeLessThan(1_000);
  });

  it('are found by looking where notifications do not get through', async () => {
    const deaf = jest.spyOn(elsewhere.get(Notifier), 'notify').mockImplementation(() => undefined);
    const id = await begin(() => receiveInput(Number));
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'RUNNING');
    await send(id, 7);
    expect(await owner.result(id)).toBe(7);
    deaf.mockRestore();
  });

  it('are received once each, in the order in which they came, those of other types and prefixes apart', async () => {
    const gate = new Gate();
    const id = await begin(async () => {
      await gate.pass();
      const { value, sender, key } = await receiveInput(String, { keyPrefix: 'greeting', withMetadata: true });
      return [
        ...[await receiveInput(Number), await receiveInput(Number)],
        ...[value, sender, key.startsWith('greeting-'), await receiveInput(String)],
        await receiveInput(Number, { timeout: 0 }).catch((error: { code: string }) => error.code),
      ];
    });
    await gate.reached;
    await send(id, 'plain');
    for (const value of [1, 2]) await send(id, value);
    await send(id, 'hi', { keyPrefix: 'greeting', sender: 'Ada' });
    gate.open();
    expect(await owner.result(id)).toEqual([1, 2, 'hi', 'Ada', true, 'plain', 'INPUT_TIMED_OUT']);
  });

  it('of another run can be read, and are left there for it', async () => {
    const gate = new Gate();
    const other = await begin(async () => {
      await gate.pass();
      return receiveInput(String);
    });
    await gate.reached;
    await send(other, 'for you');
    const reader = await begin(() => receiveInput(String, { flowRunId: other }));
    expect(await owner.result(reader)).toBe('for you');
    gate.open();
    expect(await owner.result(other)).toBe('for you');
  });

  it('go to parallel parts of a run one each', async () => {
    const id = await begin(async () =>
      [...(await Promise.all([receiveInput(Number), receiveInput(Number), receiveInput(Number)]))].sort(),
    );
    await Promise.all([1, 2, 3].map((value) => send(id, value)));
    expect(await owner.result(id)).toEqual([1, 2, 3]);
  });

  it('that do not fit are an error of the run, and the next one is received after it', async () => {
    const id = await begin(async () => [
      await receiveInput(Answer).catch(({ code, problems }: { code: string; problems: unknown }) => [code, problems]),
      await receiveInput(Answer),
    ]);
    await send(id, { number: 'many' }, { keyPrefix: 'answer-auto' });
    await send(id, { number: 2 }, { keyPrefix: 'answer-auto' });
    expect(await owner.result(id)).toEqual([
      ['INVALID_RUN_INPUT', [{ path: 'number', problem: expect.any(String) }]],
      { number: 2 },
    ]);
  });

  it('are the same again in the next attempt, and are sent once', async () => {
    const receiver = await begin(() => receiveInput(Number, { timeout: '10s' }));
    const gate = new Gate();
    const seen: unknown[] = [];
    const id = await begin(async () => {
      seen.push(await receiveInput(String));
      await sendInput(receiver, 1);
      if (currentRun().attempt === 1) {
        await gate.pass();
        throw new Error('no');
      }
      seen.push(await receiveInput(String));
    }, 'playTwice');
    await send(id, 'first');
    await gate.reached;
    await send(id, 'second');
    gate.open();
    await owner.result(id);
    expect(seen).toEqual(['first', 'first', 'second']);
    expect(await inputsOf(receiver)).toHaveLength(1);
    await owner.result(receiver);
  });

  it('are the same again in another process when their run dies, and are sent once [H07]', async () => {
    const others = new Relay(database);
    const receiver = await begin(() => receiveInput(String));
    const gate = new Gate();
    const seen: unknown[] = [];
    const code = (stage: Stage): void => {
      stage.script = async () => {
        const before = [await receiveInput(Number), await receiveInput(Number)];
        seen.push([...before]);
        await stage.act(...before);
        await sendInput(receiver, 'from the mortal');
        const deadline = receiveInput(Boolean, { timeout: '30ms' }).catch((error: { code: string }) => error.code);
        before.push((await deadline) as never);
        if (stage.owner === 'mortal') {
          await stage.act('kept');
          await gate.pass();
        }
        return [...before, await receiveInput(Number)];
      };
    };
    const mortal = await others.start('mortal', code);
    const id = await mortal.begin('play');
    await send(id, 1);
    await send(id, 2);
    await gate.reached;
    await mortal.die();
    await send(id, 3);
    await send(id, true);
    const heir = await others.start('heir', code);
    expect(await heir.result(id)).toEqual([1, 2, 'INPUT_TIMED_OUT', 3]);
    expect(seen).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(heir.stage.performed).toEqual([]);
    expect(await owner.result(receiver)).toBe('from the mortal');
    expect(await inputsOf(receiver)).toHaveLength(1);
    gate.open();
    await others.close();
  });

  it('wait with the run that waits for them: it can be suspended, cancelled and timed out meanwhile', async () => {
    const id = await begin(() => receiveInput(String));
    await waitFor(async () => (await flowRunOf(database, id)).state_type === 'RUNNING');
    await elsewhere.control.suspend(id);
    await waitFor(async () => (await flowRunOf(database, id)).process_id === null);
    await send(id, 'meanwhile');
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Suspended']);
    await elsewhere.control.resume(id);
    expect(await owner.result(id)).toBe('meanwhile');

    const another = await begin(() => receiveInput(String));
    await waitFor(async () => (await flowRunOf(database, another)).state_type === 'RUNNING');
    await elsewhere.control.cancel(another);
    expect(await owner.failure(another)).toMatchObject({ code: 'RUN_CANCELLED' });
  });

  it('end a loop over them when none comes in time', async () => {
    const id = await begin(async () => {
      const numbers: number[] = [];
      for await (const { value } of receiveInputs(Number, { timeout: '100ms' })) numbers.push(value);
      return numbers;
    });
    await send(id, 1);
    expect(await owner.result(id)).toEqual([1]);
  });

  it('are sent by tasks once, also when the task begins again in another attempt of its flow', async () => {
    const receiver = await begin(() => sleep('10s'));
    owner.stage.direction = () => sendInput(receiver, 'once');
    const id = await begin(async () => {
      await owner.stage.direct();
      if (currentRun().attempt === 1) throw new Error('no');
    }, 'playTwice');
    await owner.result(id);
    expect(await inputsOf(receiver)).toMatchObject([{ value: '"once"', sender: `prefect.flow-run.${id}` }]);
    await owner.control.cancel(receiver);
  });

  it('are refused where they cannot be sent or received', async () => {
    const id = await begin(async () => undefined);
    await owner.result(id);
    await expect(send(id, 1n)).rejects.toMatchObject({ code: 'UNSERIALISABLE_VALUE' });
    await expect(send(id, undefined)).rejects.toMatchObject({ code: 'UNSERIALISABLE_VALUE' });
    await expect(send('00000000-0000-7000-8000-000000000000', 1)).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    await expect(send('nobody', 1)).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    await expect(sendInput(id, 1)).rejects.toMatchObject({ code: 'NO_CURRENT_RUN' });
    await expect(receiveInput(String)).rejects.toMatchObject({ code: 'NOT_IN_FLOW_BODY' });
    owner.stage.direction = () => receiveInput(String);
    expect(await owner.failure(await begin(() => owner.stage.direct()))).toMatchObject({ code: 'NOT_IN_FLOW_BODY' });
    const alone = await begin(async () => (await receiveInput(Number, { withMetadata: true })).respond(1));
    await send(alone, 1);
    expect(await owner.failure(alone)).toMatchObject({ code: 'INPUT_SENDER_UNKNOWN', sender: null });
  });
});
