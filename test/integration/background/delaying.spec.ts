import { Inject, Injectable, Scope, type INestApplicationContext } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import {
  BackgroundTasks,
  currentRun,
  delay,
  Flow,
  NoTransactionError,
  OtherDatabaseError,
  QueuePermissionError,
  Task,
  type RunRequest,
  TaskNotRegisteredError,
  WaitTimeoutError,
  withTags,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { DataSource } from 'typeorm';
import { startApp } from '../../support/app.js';
import { bestOf } from '../../support/best-of.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames, type StoredTaskRun } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { EmbeddedSuperuser } from '../persistence/support/embedded-superuser.js';

@Injectable()
class Mails {
  readonly sent: unknown[] = [];

  @Task({ tags: ['mail'] })
  async send(to: string, at?: Date): Promise<string> {
    this.sent.push(at ? [to, at] : to);
    return `sent to ${to}`;
  }

  @Task({ retries: 1 })
  async refuse(): Promise<void> {
    throw new RangeError('no such address');
  }

  @Task()
  async remind(to: string): Promise<string> {
    return (await delay(this, { name: 'a reminder' }).send(to)).taskRunId;
  }

  @Task()
  async sendAll(to: readonly string[]): Promise<string[]> {
    const { taskRunName, flowRunId } = currentRun();
    this.sent.push([taskRunName, flowRunId]);
    return Promise.all(to.map((one) => this.send(one)));
  }

  @Flow()
  async campaign(): Promise<string> {
    return 'begun';
  }

  async ordinary(): Promise<void> {}
}

/** Made anew for every run. */
@Injectable({ scope: Scope.REQUEST })
class Postman {
  private rounds = 0;

  constructor(@Inject(REQUEST) private readonly request: RunRequest) {}

  @Task()
  async deliver(letter: string): Promise<unknown[]> {
    this.rounds += 1;
    return [letter, this.rounds, this.request.parameters];
  }

  @Task<Postman['retire']>({
    retries: 5,
    retryCondition: (error, { args: [at], attempt }) => error instanceof RangeError && attempt < at,
  })
  async retire(at: number): Promise<void> {
    throw new RangeError(`at ${at}`);
  }
}

describe('a task that is delayed', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let mails: Mails;
  let tasks: BackgroundTasks;
  let host: DataSource;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, app: 'post', providers: [Mails, Postman] });
    mails = app.get(Mails);
    tasks = app.get(BackgroundTasks);
    await sql(database, 'create table letter (receiver text not null)');
    host = await hostOf(database.url).initialize();
  });
  afterAll(async () => {
    await host.destroy();
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => void mails.sent.splice(0));

  const hostOf = (url: string): DataSource => new DataSource({ type: 'postgres', url });
  const rowOf = async (id: string): Promise<StoredTaskRun | undefined> =>
    (await sql<StoredTaskRun>(database, 'select * from nestor.task_run where id = $1', [id]))[0];
  const queued = async (): Promise<number> =>
    (await sql<{ count: string }>(database, 'select count(*) from nestor.task_queue')).map(({ count }) =>
      Number(count),
    )[0]!;

  it('is executed, and its handle gives what it gave [H09]', async () => {
    const run = await delay(mails).send('ada');
    expect(await run.result({ timeout: '10s' })).toBe('sent to ada');
    expect(await run.state()).toMatchObject({ type: 'COMPLETED' });
    expect(await stateNames(database, run.taskRunId)).toEqual(['Scheduled', 'Pending', 'Running', 'Completed']);
    expect(await rowOf(run.taskRunId)).toMatchObject({
      flow_run_id: null,
      task_key: 'Mails.send',
      tags: ['mail'],
      run_count: 1,
    });
    expect(mails.sent).toEqual(['ada']);
  });

  it('leaves the queue when it has completed', async () => {
    const run = await tasks.delay(Mails, 'send', 'grace');
    await run.result({ timeout: '10s' });
    await waitFor(async () => (await queued()) === 0);
    expect(tasks.status()).toEqual({
      served: ['Mails.refuse', 'Mails.remind', 'Mails.send', 'Mails.sendAll', 'Postman.deliver', 'Postman.retire'],
      concurrency: 10,
      running: 0,
    });
  });

  it('is executed within milliseconds', async () => {
    await (await delay(mails).send('first')).result({ timeout: '10s' });
    const elapsed = async (): Promise<number> => {
      mails.sent.length = 0;
      const begun = performance.now();
      await delay(mails).send('quick');
      await waitFor(() => mails.sent.includes('quick'));
      return performance.now() - begun;
    };
    expect(await bestOf(500, elapsed)).toBeLessThan(500);
  });

  it('has arguments, names and tags as they were given', async () => {
    const at = new Date('2026-11-26T10:00:00Z');
    const run = await withTags(['winter'], () =>
      tasks.with({ name: 'a letter', tags: ['vip'] }).delay(Mails, 'send', 'ada', at),
    );
    await run.result({ timeout: '10s' });
    expect(mails.sent).toEqual([['ada', at]]);
    expect(await rowOf(run.taskRunId)).toMatchObject({ name: 'a letter', tags: ['mail', 'vip', 'winter'] });
  });

  it('has what it calls as runs below it, and knows itself', async () => {
    const run = await tasks.with({ name: 'all of them' }).delay(Mails, 'sendAll', ['ada', 'grace']);
    expect(await run.result({ timeout: '10s' })).toEqual(['sent to ada', 'sent to grace']);
    expect(mails.sent[0]).toEqual(['all of them', null]);
    const children = await sql<StoredTaskRun>(database, 'select * from nestor.task_run where parent_task_run_id = $1', [
      run.taskRunId,
    ]);
    expect(children.map(({ task_key, tags }) => [task_key, tags])).toEqual([
      ['Mails.send', ['mail']],
      ['Mails.send', ['mail']],
    ]);
  });

  it('is executed on an instance of its own, where the provider is made anew for every run', async () => {
    const runs = await Promise.all(['one', 'two'].map((letter) => tasks.delay(Postman, 'deliver', letter)));
    expect(await Promise.all(runs.map((run) => run.result({ timeout: '10s' })))).toEqual([
      ['one', 1, { 0: 'one' }],
      ['two', 1, { 0: 'two' }],
    ]);
  });

  it('may be delayed by its own class', async () => {
    const reminder = tasks.handle(await mails.remind('ada'));
    expect(await reminder.result({ timeout: '10s' })).toBe('sent to ada');
  });

  it('has the retries of the task, whose conditions see its arguments', async () => {
    const run = await tasks.delay(Postman, 'retire', 2);
    await expect(run.result({ timeout: '10s' })).rejects.toThrow('at 2');
    expect(await rowOf(run.taskRunId)).toMatchObject({ state_type: 'FAILED', run_count: 2 });
    await tasks.discard(run.taskRunId);
  });

  it('rejects with what it threw last, once its retries are used up, and is a dead letter then [H12]', async () => {
    const run = await delay(mails, { name: 'returned' }).refuse();
    await expect(run.result({ timeout: '10s' })).rejects.toThrow(RangeError);
    expect(await stateNames(database, run.taskRunId)).toEqual([
      'Scheduled',
      'Pending',
      'Running',
      'Retrying',
      'Failed',
    ]);
    expect(await tasks.deadLetters({ limit: 1 })).toEqual([
      expect.objectContaining({
        ...{ taskRunId: run.taskRunId, name: 'returned', taskKey: 'Mails.refuse', runCount: 2 },
        ...{ stateType: 'FAILED', message: expect.stringContaining('no such address') as unknown },
      }),
    ]);
    expect(await tasks.counts()).toContainEqual({ taskKey: 'Mails.refuse', queued: 0, running: 0, deadLetters: 1 });
  });

  it('is tried again by hand, with all of its attempts, or discarded', async () => {
    const [letter] = await tasks.deadLetters();
    const id = letter!.taskRunId;
    await tasks.retry(id);
    await expect(tasks.handle(id).result({ timeout: '10s' })).rejects.toThrow(RangeError);
    expect(await stateNames(database, id)).toEqual([
      ...['Scheduled', 'Pending', 'Running', 'Retrying', 'Failed'],
      ...['AwaitingRetry', 'Running', 'Retrying', 'Failed'],
    ]);
    await tasks.discard(id);
    expect(await tasks.deadLetters()).toEqual([]);
    await expect(tasks.discard(id)).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND', taskRunId: id });
    await expect(tasks.retry(id)).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND', taskRunId: id });
    await expect(tasks.retry('no id')).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' });
    await expect(tasks.deadLetters({ limit: 0 })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    await expect(tasks.deadLetters({ before: 'x' })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
  });

  it('waits for its time [H09]', async () => {
    const later = await delay(mails, { in: '1h' }).send('later');
    const at = await delay(mails, { at: new Date(Date.now() + 300) }).send('soon');
    const past = await delay(mails, { at: new Date(0) }).send('now');
    await past.result({ timeout: '10s' });
    expect(mails.sent).toEqual(['now']);
    await at.result({ timeout: '10s' });
    const [row] = await sql<{ early: boolean }>(
      database,
      'select start_time < expected_start_time as early from nestor.task_run where id = $1',
      [at.taskRunId],
    );
    expect(row).toEqual({ early: false });
    await expect(later.result({ timeout: 1 })).rejects.toThrow(WaitTimeoutError);
    expect(await later.state()).toMatchObject({ type: 'SCHEDULED', name: 'Scheduled', details: { deferred: true } });
    expect(await tasks.counts()).toContainEqual({ taskKey: 'Mails.send', queued: 1, running: 0, deadLetters: 0 });
    await sql(database, 'delete from nestor.task_queue where task_run_id = $1', [later.taskRunId]);
  });

  it('is there once as long as one with its key waits', async () => {
    const one = await delay(mails, { key: 'ada', in: '1h' }).send('ada');
    const other = await delay(mails, { key: 'ada' }).send('ada');
    const third = await host.transaction((manager) => delay(mails, { key: 'ada', transaction: manager }).send('ada'));
    expect([other.taskRunId, third.taskRunId]).toEqual([one.taskRunId, one.taskRunId]);
    const different = await delay(mails, { key: 'grace' }).send('grace');
    await different.result({ timeout: '10s' });
    await waitFor(async () => (await queued()) === 1);
    const again = await delay(mails, { key: 'grace' }).send('grace');
    expect(again.taskRunId).not.toBe(different.taskRunId);
    expect(await again.result({ timeout: '10s' })).toBe('sent to grace');
    await sql(database, 'delete from nestor.task_queue where key is not null');
  });

  it.each([
    ['in and at together', { in: '1s' as const, at: new Date() }, 'INVALID_RUN_OPTION'],
    ['a date that is none', { at: new Date('soon') }, 'INVALID_RUN_OPTION'],
    ['an empty key', { key: '' }, 'INVALID_RUN_OPTION'],
    ['a duration that is none', { in: 'soon' as '1s' }, 'INVALID_DURATION'],
  ])('is refused %s', (_, options, code) => {
    expect(() => delay(mails, options)).toThrow(expect.objectContaining({ code }));
  });

  it('is neither a flow nor an ordinary method', async () => {
    await expect(delay(mails).campaign()).rejects.toThrow(TaskNotRegisteredError);
    await expect(tasks.delay(Mails, 'campaign')).rejects.toThrow(TaskNotRegisteredError);
    expect(() => delay(mails).ordinary()).toThrow(expect.objectContaining({ code: 'NOT_DECORATED' }));
  });

  it('needs an orchestrator', async () => {
    class Loose {
      @Task()
      async run(): Promise<void> {}
    }
    await expect(delay(new Loose()).run()).rejects.toMatchObject({ code: 'ORCHESTRATOR_MISSING' });
  });

  describe('within a transaction of the application', () => {
    it('is there after the commit, and not before [H09]', async () => {
      const run = await host.transaction(async (manager) => {
        await manager.query(`insert into letter values ('ada')`);
        const delayed = await delay(mails, { transaction: manager }).send('ada');
        expect(await rowOf(delayed.taskRunId)).toBeUndefined();
        expect(await delayed.state()).toBeNull();
        expect(mails.sent).toEqual([]);
        return delayed;
      });
      expect(await run.result({ timeout: '10s' })).toBe('sent to ada');
      expect(mails.sent).toEqual(['ada']);
    });

    it('is executed within milliseconds of the commit', async () => {
      const elapsed = async (): Promise<number> => {
        mails.sent.length = 0;
        await host.transaction((manager) => delay(mails, { transaction: manager }).send('quick'));
        const committed = performance.now();
        await waitFor(() => mails.sent.length > 0);
        return performance.now() - committed;
      };
      expect(await bestOf(500, elapsed)).toBeLessThan(500);
    });

    it('is gone with a rollback [H09]', async () => {
      let taskRunId = '';
      const transaction = host.transaction(async (manager) => {
        const run = await tasks.with({ transaction: manager }).delay(Mails, 'send', 'nobody');
        ({ taskRunId } = run);
        throw new Error('changed my mind');
      });
      await expect(transaction).rejects.toThrow('changed my mind');
      expect(await rowOf(taskRunId)).toBeUndefined();
      await expect(tasks.handle(taskRunId).result({ timeout: '10s' })).rejects.toMatchObject({
        code: 'BACKGROUND_TASK_NOT_FOUND',
      });
      expect(mails.sent).toEqual([]);
    });

    it('is gone with the savepoint it was delayed in', async () => {
      const run = await host.transaction(async (manager) => {
        const lost = manager.transaction(async (inner) => {
          await delay(mails, { transaction: inner }).send('inner');
          throw new Error('inner');
        });
        await expect(lost).rejects.toThrow('inner');
        return delay(mails, { transaction: manager }).send('outer');
      });
      await run.result({ timeout: '10s' });
      expect(mails.sent).toEqual(['outer']);
    });

    it('takes a QueryRunner as well', async () => {
      const runner = host.createQueryRunner();
      try {
        await runner.startTransaction();
        const run = await delay(mails, { transaction: runner }).send('runner');
        await runner.commitTransaction();
        expect(await run.result({ timeout: '10s' })).toBe('sent to runner');
      } finally {
        await runner.release();
      }
    });

    it('is refused where there is none', async () => {
      await expect(delay(mails, { transaction: host.manager }).send('x')).rejects.toThrow(NoTransactionError);
      const runner = host.createQueryRunner();
      await expect(delay(mails, { transaction: runner }).send('x')).rejects.toThrow(NoTransactionError);
      await runner.release();
    });

    it('is refused in another database, whose transaction goes on', async () => {
      const other = await testDatabase();
      const elsewhere = await hostOf(other.url).initialize();
      try {
        await elsewhere.transaction(async (manager) => {
          await expect(delay(mails, { transaction: manager }).send('x')).rejects.toThrow(OtherDatabaseError);
          expect(await manager.query('select count(*)::integer as count from nestor.task_queue')).toEqual([
            { count: 0 },
          ]);
        });
      } finally {
        await elsewhere.destroy();
        await other.drop();
      }
    });
  });
});

describe('the role of the transaction in which a task is delayed', () => {
  it('may be another one than ours, with the rights that the error names', async () => {
    const superuser = await EmbeddedSuperuser.open();
    try {
      const [owner, clerk] = [await superuser.createRole(), await superuser.createRole()];
      await superuser.query(`grant create on database ${superuser.database} to ${owner}`);
      const app = await startApp({ url: superuser.urlOf(owner), providers: [Mails] });
      const host = await new DataSource({ type: 'postgres', url: superuser.urlOf(clerk) }).initialize();
      try {
        const message = await host.transaction(async (manager) => {
          const refused = delay(app.get(Mails), { transaction: manager }).send('ada');
          const error = await refused.catch((reason: unknown) => reason);
          expect(error).toBeInstanceOf(QueuePermissionError);
          expect(await manager.query('select 1 as alive')).toEqual([{ alive: 1 }]);
          return (error as Error).message;
        });
        await superuser.query(message.slice(message.indexOf('grant usage')));
        const run = await host.transaction((manager) => delay(app.get(Mails), { transaction: manager }).send('ada'));
        expect(await run.result({ timeout: '10s' })).toBe('sent to ada');
      } finally {
        await host.destroy();
        await app.close();
      }
    } finally {
      await superuser.close();
    }
  });
});
