import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  cancelledState,
  completedState,
  failedState,
  Flow,
  ReturnedStateError,
  RunCancelledError,
  Task,
  type ReturnedState,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';

@Injectable()
class Endings {
  calls = 0;
  ending: () => unknown = () => completedState();

  @Flow({ name: 'end' })
  async end(): Promise<unknown> {
    return this.ending();
  }

  @Flow({ name: 'end twice', retries: 1 })
  async endTwice(): Promise<unknown> {
    this.calls += 1;
    return this.ending();
  }

  @Task({ retries: 1 })
  async step(): Promise<unknown> {
    this.calls += 1;
    return this.ending();
  }

  @Task()
  async typed(skip: boolean): Promise<number | ReturnedState<number>> {
    return skip ? completedState({ name: 'Skipped', result: 0 }) : 1;
  }
}

describe('a method that returns a state', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let endings: Endings;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Endings] });
    endings = app.get(Endings);
  });
  beforeEach(() => (endings.calls = 0));
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const latest = async (table: 'flow_run' | 'task_run') => {
    const [run] = await sql<{ id: string; run_count: number; result: unknown }>(
      database,
      `select * from nestor.${table} order by id desc limit 1`,
    );
    return { ...run!, states: await stateNames(database, run!.id) };
  };

  it('completes under the name it gives, with the result it gives [F27]', async () => {
    endings.ending = () => completedState({ name: 'Skipped', message: 'Nothing new.', result: { rows: 0 } });
    expect(await endings.end()).toEqual({ rows: 0 });
    expect(await latest('flow_run')).toMatchObject({ states: ['Pending', 'Running', 'Skipped'], result: { rows: 0 } });
    expect(await endings.typed(true)).toBe(0);
    expect(await endings.typed(false)).toBe(1);
  });

  it('fails as it says, and is tried again while retries remain [F27]', async () => {
    endings.ending = () => failedState({ name: 'Rejected', message: 'By the bank.' });
    await expect(endings.endTwice()).rejects.toThrow(ReturnedStateError);
    expect(endings.calls).toBe(2);
    const states = ['Pending', 'Running', 'AwaitingRetry', 'Running', 'Rejected'];
    expect(await latest('flow_run')).toMatchObject({ states, run_count: 2 });
  });

  it('throws the error that comes with the state', async () => {
    endings.ending = () => failedState({ error: new RangeError('too far') });
    await expect(endings.end()).rejects.toThrow(RangeError);
  });

  it('of a task is tried again too [T14]', async () => {
    endings.ending = () => failedState({ message: 'Not yet.' });
    await expect(endings.step()).rejects.toThrow('Not yet.');
    expect(await latest('task_run')).toMatchObject({
      run_count: 2,
      states: ['Pending', 'Running', 'Retrying', 'Failed'],
    });
  });

  it('of a cancelled run is cancelled, once', async () => {
    endings.ending = () => cancelledState({ message: 'Nobody wants it.' });
    await expect(endings.endTwice()).rejects.toThrow(RunCancelledError);
    expect(endings.calls).toBe(1);
    expect((await latest('flow_run')).states).toEqual(['Pending', 'Running', 'Cancelled']);
  });

  it('that is no end has failed, and says so', async () => {
    endings.ending = () => ({ type: 'RUNNING', name: 'Running', message: null, details: {} });
    await expect(endings.end()).rejects.toThrow('no end of a run: RUNNING');
  });
});
