import type { INestApplicationContext } from '@nestjs/common';
import { BackgroundTasks, delay } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { Books, createBooks, Entry, notes, startBooks } from '../transactional/support/books.js';

describe('a transactional task that is delayed', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let books: Books;

  beforeAll(async () => {
    database = await testDatabase();
    await createBooks(database);
    app = await startBooks(database);
    books = app.get(Books);
  });
  beforeEach(() => sql(database, 'delete from entry'));
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  it('commits what it writes with its record, and leaves the queue after that', async () => {
    books.work = async () => {
      await books.dataSource.manager.insert(Entry, { note: 'delayed' });
      return 'booked';
    };
    const run = await delay(books).book(1);
    expect(await run.result({ timeout: '10s' })).toBe('booked');
    expect(await notes(database)).toEqual(['delayed']);
    expect(await stateNames(database, run.taskRunId)).toEqual(['Scheduled', 'Pending', 'Running', 'Completed']);
    await waitFor(async () => (await app.get(BackgroundTasks).counts()).length === 0);
  });

  it('takes what it delays back with what it writes', async () => {
    let taskRunId: string | null = null;
    books.work = async () => {
      const runner = books.dataSource.createQueryRunner();
      try {
        ({ taskRunId } = await delay(books, { transaction: runner }).plain(2));
      } finally {
        await runner.release();
      }
      throw new Error('no');
    };
    const run = await delay(books).book(1);
    await expect(run.result({ timeout: '10s' })).rejects.toThrow('no');
    expect(taskRunId).not.toBeNull();
    expect(await sql(database, 'select from nestor.task_run where id = $1', [taskRunId])).toEqual([]);
  });
});
