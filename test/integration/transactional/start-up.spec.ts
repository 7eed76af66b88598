import { Injectable } from '@nestjs/common';
import { InjectDataSource, TypeOrmModule } from '@nestjs/typeorm';
import { Flow, InvalidOptionError, Task, type TransactionalOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import type { DataSource } from 'typeorm';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { EmbeddedSuperuser } from '../persistence/support/embedded-superuser.js';
import { Books, createBooks, hostOptions, notes, startBooks } from './support/books.js';

/** A provider with one task in transactions of the data source named. */
function clerk(transactional: boolean | string | TransactionalOptions) {
  @Injectable()
  class Clerk {
    @Task({ transactional })
    async file(): Promise<void> {}
  }
  return Clerk;
}

describe('an application with transactional tasks', () => {
  let database: TestDatabase;
  let other: TestDatabase;
  beforeAll(async () => {
    [database, other] = [await testDatabase(), await testDatabase()];
    await Promise.all([database, other].map(createBooks));
  });
  afterAll(async () => {
    await database.drop();
    await other.drop();
  });
  beforeEach(() => sql(database, 'delete from entry'));

  const failureOf = (starting: Promise<unknown>): Promise<unknown> =>
    starting.then(
      () => 'it started',
      (error: unknown) => error,
    );

  it('does not start where their data source is another database', async () => {
    expect(await failureOf(startBooks(database, { hostUrl: other.url }))).toMatchObject({
      code: 'TRANSACTIONAL_DATA_SOURCE_ELSEWHERE',
      dataSource: 'default',
      place: 'Books.book',
      message: expect.stringMatching(
        /^Books\.book is to run in transactions of the default data source, which is another database/,
      ),
    });
  });

  it('does not start without their data source', async () => {
    const starting = startApp({ url: database.url, providers: [clerk('billing')] });
    expect(await failureOf(starting)).toMatchObject({
      code: 'TRANSACTIONAL_DATA_SOURCE_MISSING',
      dataSource: 'billing',
    });
  });

  it('does not start where their data source is not open', async () => {
    const imports = [TypeOrmModule.forRoot({ ...hostOptions(database.url), manualInitialization: true })];
    const starting = startApp({ url: database.url, imports, providers: [clerk(true)] });
    expect(await failureOf(starting)).toMatchObject({
      code: 'TRANSACTIONAL_DATA_SOURCE_MISSING',
      dataSource: 'default',
    });
  });

  it('does not start where their data source may not write records, and says what to grant', async () => {
    const superuser = await EmbeddedSuperuser.open();
    try {
      const [ours, theirs] = [await superuser.createRole(), await superuser.createRole()];
      await superuser.query(`grant create on database ${superuser.database} to ${ours}`);
      await superuser.query(`create table entry (id serial primary key, note text not null)`);
      await superuser.query(`grant all on entry, entry_id_seq to ${theirs}`);
      const at = { url: superuser.urlOf(ours) };
      const start = () => startBooks(at, { hostUrl: superuser.urlOf(theirs) });
      const failure = await failureOf(start());
      expect(failure).toMatchObject({ code: 'TRANSACTIONAL_DATA_SOURCE_DENIED', schema: '"nestor"' });

      const grants = (failure as Error).message.match(/GRANT .*?(?=;|\.$)/g)!;
      expect(grants).toHaveLength(5);
      for (const grant of grants) await superuser.query(`${grant} to ${theirs}`);
      const app = await start();
      const books = app.get(Books);
      books.work = (note: string) => books.note(note);
      books.script = () => Promise.all([books.book('one'), books.bookSteadily('two'), books.bookAndTell('three')]);
      await books.keep();
      expect((await notes({ url: superuser.urlOf(theirs) })).sort()).toEqual(['one', 'three', 'two']);
      await app.close();
    } finally {
      await superuser.close();
    }
  });

  it.each<[string, TransactionalOptions | string]>([
    ['an empty name', ' '],
    ['an isolation level that PostgreSQL does not have', { isolation: 'CHAOS' as never }],
  ])('does not start with %s', async (_, transactional) => {
    const failure = await failureOf(startApp({ url: database.url, providers: [clerk(transactional)] }));
    expect(failure).toBeInstanceOf(InvalidOptionError);
    expect(failure).toMatchObject({ option: 'transactional', place: 'Clerk.file' });
  });

  it('does not start where the result of one is not to be kept, without which it would run again', async () => {
    @Injectable()
    class Clerk {
      @Task({ transactional: true, persistResult: false })
      async file(): Promise<void> {}
    }
    const failure = await failureOf(startApp({ url: database.url, providers: [Clerk] }));
    expect(failure).toMatchObject({ code: 'INVALID_OPTION', option: 'persistResult', place: 'Clerk.file' });
  });

  it('uses the data source that each of them names', async () => {
    @Injectable()
    class Offices {
      constructor(
        @InjectDataSource() readonly main: DataSource,
        @InjectDataSource('billing') readonly billing: DataSource,
      ) {}

      @Flow({ name: 'both offices' })
      async both(): Promise<unknown[]> {
        return [await this.inMain().catch(() => 'failed'), await this.inBilling().catch(() => 'failed')];
      }

      @Task({ transactional: true })
      async inMain(): Promise<void> {
        await this.write();
      }

      @Task({ transactional: { dataSource: 'billing' } })
      async inBilling(): Promise<void> {
        await this.write();
      }

      private async write(): Promise<void> {
        await this.main.query(`insert into entry (note) values ('main')`);
        await this.billing.query(`insert into entry (note) values ('billing')`);
        throw new Error('and fails');
      }
    }
    const app = await startBooks(database, {
      imports: [TypeOrmModule.forRoot({ ...hostOptions(database.url), name: 'billing' })],
      providers: [Offices],
    });
    try {
      expect(await app.get(Offices).both()).toEqual(['failed', 'failed']);
      // What each wrote to the data source that is not its own is none of its transaction.
      expect(await notes(database)).toEqual(['billing', 'main']);
    } finally {
      await app.close();
    }
  });
});
