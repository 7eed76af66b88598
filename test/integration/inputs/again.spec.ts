import { pause, receiveInput, RunInputs, sleep } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { waitFor } from '../../support/wait-for.js';

describe('a flow run that was paused and told things, and that somebody wants once more', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;

  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
    owner = await relay.start('owner');
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  /** A run that pauses and receives something before its second task, and again after it; and what it came to. */
  const played = async (): Promise<string> => {
    owner.stage.script = async () => {
      await owner.stage.act(1);
      const before = [await pause({ input: String }), await receiveInput(Number)];
      await owner.stage.act(2);
      const after = [await pause({ input: String }), await receiveInput(Number)];
      await sleep(1);
      return [...before, ...after];
    };
    const id = await owner.begin('play');
    for (const value of [1, 2]) await owner.get(RunInputs).send(id, value);
    for (const [index, input] of ['one', 'two'].entries()) await answer(id, index + 1, input);
    expect(await owner.result(id)).toEqual(['one', 1, 'two', 2]);
    return id;
  };
  const answer = async (id: string, count: number, input: string): Promise<void> => {
    await waitFor(async () => (await stateNames(database, id)).filter((name) => name === 'Paused').length === count);
    await waitFor(async () => (await flowRunOf(database, id)).state_name === 'Paused');
    await owner.control.resume(id, { input });
  };
  const secondTaskOf = async (id: string): Promise<string> => (await taskRunsOf(database, id))[1]!.id;

  it('is not asked again when it is retried', async () => {
    const id = await played();
    await owner.control.retry(id);
    await waitFor(async () => (await flowRunOf(database, id)).run_count === 2);
    expect(await owner.result(id)).toEqual(['one', 1, 'two', 2]);
  });

  it('is asked again for what came after the task from which it is restarted, and gets the same messages', async () => {
    const id = await played();
    await owner.control.restart(id, { fromTaskRun: await secondTaskOf(id) });
    await answer(id, 3, 'other');
    expect(await owner.result(id)).toEqual(['one', 1, 'other', 2]);
  });

  it('is asked again, as a fork, for what came after the task from which it differs', async () => {
    const id = await played();
    const fork = await owner.control.fork(id, { fromTaskRun: await secondTaskOf(id) });
    await answer(fork, 1, 'other');
    await owner.get(RunInputs).send(fork, 3);
    expect(await owner.result(fork)).toEqual(['one', 1, 'other', 3]);
    const whole = await owner.control.fork(id);
    expect(await owner.result(whole)).toEqual(['one', 1, 'two', 2]);
  });
});
