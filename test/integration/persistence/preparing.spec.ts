import {
  prepareDatabase,
  SchemaNotMigratedError,
  SchemaPermissionError,
  SchemaTooNewError,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Client } from 'pg';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { openDataSource } from '../../../libs/orchestrator/src/persistence/open-data-source.js';
import { migrations } from '../../../migrations/index.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { describeSchema } from './support/describe-schema.js';
import { EmbeddedSuperuser } from './support/embedded-superuser.js';
import { CompiledLibrary, PreparingProcess } from './support/preparing-process.js';
import { emptyDatabase, open, openStore } from './support/store.js';

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => Promise.reject(new Error('It worked.')),
    (error: unknown) => error,
  );

describe('preparing a database', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await emptyDatabase();
  });
  afterEach(async () => {
    const made = (await schemas()).filter((name) => name !== 'public');
    if (made.length > 0) await sql(database, `drop schema ${made.map((name) => `"${name}"`).join(', ')} cascade`);
  });
  afterAll(() => database.drop());

  const schemas = async (): Promise<string[]> => {
    const rows = await sql<{ name: string }>(
      database,
      `select nspname as name from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1`,
    );
    return rows.map(({ name }) => name);
  };

  it('runs every migration at the start, and none at the next', async () => {
    const applied = () => sql(database, 'select id, name from nestor.migration order by id');
    await (await open(database)).destroy();
    const first = await applied();
    expect(first.map(({ name }) => name)).toEqual(migrations.map((migration) => migration.name));

    await (await open(database)).destroy();
    expect(await applied()).toEqual(first);
  });

  describe('tells and checks how far the schema has come', () => {
    const LEVEL = migrations.length;
    const isCurrent = { from: LEVEL, to: LEVEL };

    it('from nothing', async () => {
      expect(await prepareDatabase({ url: database.url })).toEqual({ from: 0, to: LEVEL });
      expect(await prepareDatabase({ url: database.url })).toEqual(isCurrent);
      expect(await prepareDatabase({ url: database.url, check: true })).toEqual(isCurrent);
    });

    it('from that of an earlier release', async () => {
      const earlier = migrations.slice(0, -1);
      const settings = { app: 'test', schema: 'nestor', entities: [], log: () => undefined };
      const at = { url: database.url, poolSize: 1 };
      await (await openDataSource({ ...settings, database: at, migrations: earlier })).destroy();
      expect(await failureOf(prepareDatabase({ url: database.url, check: true }))).toMatchObject({
        ...{ code: 'SCHEMA_NOT_MIGRATED', schema: 'nestor', schemaLevel: LEVEL - 1, codeLevel: LEVEL },
        message:
          `Schema "nestor" is at level ${LEVEL - 1} and lacks migrations of this release, which is of level ${LEVEL}; nothing is ` +
          'changed here. Bring it there first, with prepareDatabase() of this release, or "npm start -- migrate" of the bundled ' +
          'orchestrator: the code that runs now goes on with the newer schema.',
      });
      expect(await prepareDatabase({ url: database.url })).toEqual({ from: LEVEL - 1, to: LEVEL });
    });

    it('and changes nothing when it only checks', async () => {
      const error = await failureOf(prepareDatabase({ url: database.url, check: true }));
      expect(error).toBeInstanceOf(SchemaNotMigratedError);
      expect(error).toMatchObject({ schemaLevel: 0 });
      expect((error as Error).message).toContain('Schema "nestor" does not exist yet and lacks');
      expect(await schemas()).toEqual(['public']);
    });
  });

  it('touches nothing outside its schema', async () => {
    await prepareDatabase({ url: database.url });
    expect(await schemas()).toEqual(['nestor', 'public']);
    expect(await sql(database, `select relname from pg_class where relnamespace = 'public'::regnamespace`)).toEqual([]);
  });

  it('leaves no connection behind', async () => {
    await prepareDatabase({ url: database.url });
    await waitFor(async () => {
      const rows = await sql(
        database,
        `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
      );
      return rows.length === 0;
    });
  });

  it('calls its connections by the name of the application', async () => {
    const dataSource = await open(database);
    const rows = await dataSource.query(`select current_setting('application_name') as name`);
    await dataSource.destroy();
    expect(rows).toEqual([{ name: 'nestor:test' }]);
  });

  describe('by ten processes at once', () => {
    let library: CompiledLibrary;
    const processes: PreparingProcess[] = [];
    beforeAll(() => (library = new CompiledLibrary()));
    afterEach(() => Promise.all(processes.splice(0).map((one) => one.kill())));
    afterAll(() => library.remove());

    it('gives each of them the same schema, made once', async () => {
      processes.push(...(await Promise.all(Array.from({ length: 10 }, () => PreparingProcess.start(library)))));

      const reports = await Promise.all(processes.map((one) => one.prepare(database.url)));
      expect(reports).toEqual(Array.from({ length: 10 }, () => 'prepared'));
      expect(
        await sql(
          database,
          'select count(*)::int as times, name from nestor.migration group by name order by min(timestamp)',
        ),
      ).toEqual(migrations.map(({ name }) => ({ times: 1, name })));
      expect(await Promise.all(processes.map((one) => one.end()))).toEqual(Array.from({ length: 10 }, () => 0));
    }, 90_000);
  });

  describe('while somebody else', () => {
    let other: Client;
    beforeEach(async () => {
      other = new Client({ connectionString: database.url });
      await other.connect();
    });
    afterEach(() => other.end());

    /** The server process of the application that holds, or waits for, locks such as these. */
    const processWith = (locks: string): Promise<number> =>
      waitFor(async () => {
        const { rows } = await other.query<{ pid: number }>(
          `select pid from pg_locks where pid <> pg_backend_pid() and ${locks}
              and database = (select oid from pg_database where datname = current_database())`,
        );
        return rows[0]?.pid;
      });

    it('migrates, waits, and goes on when the other is done', async () => {
      const lock = `hashtextextended('nestor.migrate:' || current_database() || ':nestor', 0)`;
      await other.query(`select pg_advisory_lock(${lock})`);
      const opening = open(database);
      await processWith(`locktype = 'advisory' and not granted`);
      expect(await schemas()).toEqual(['public']);

      await other.query(`select pg_advisory_unlock(${lock})`);
      await (await opening).destroy();
      expect(await schemas()).toEqual(['nestor', 'public']);
    });

    it('cuts its connection, fails without taking the process along, and works the next time', async () => {
      await other.query('create schema nestor');
      await other.query('create table nestor.migration (id serial primary key, timestamp bigint, name varchar)');
      await other.query('begin; lock table nestor.migration in exclusive mode');
      const opening = failureOf(open(database));
      // The migration itself runs on another connection and stands before the table; the one that is cut is idle.
      await processWith(`locktype = 'relation' and not granted`);
      const holder = await processWith(`locktype = 'advisory' and granted and classid <> 0`);
      await other.query('select pg_terminate_backend($1)', [holder]);
      // Of the locks, because what pg_stat_activity says does not change within a transaction.
      await waitFor(async () => {
        const { rowCount } = await other.query('select from pg_locks where pid = $1', [holder]);
        return rowCount === 0;
      });
      await other.query('commit');

      expect(await opening).toBeInstanceOf(Error);
      await (await open(database)).destroy();
    });
  });

  describe('with the schema of a later release', () => {
    const later = (level: number, oldest: number) =>
      sql(
        database,
        `with noted as (insert into nestor.migration (timestamp, name) values (9999999999999, 'Later9999999999999'))
         update nestor.schema_info set level = ${level}, oldest_supported_code = ${oldest}`,
      );

    it('is refused when that says this release is too old for it', async () => {
      await prepareDatabase({ url: database.url });
      await later(99, 98);
      const error = await failureOf(open(database));
      expect(error).toBeInstanceOf(SchemaTooNewError);
      expect(error).toMatchObject({
        code: 'SCHEMA_TOO_NEW',
        schema: 'nestor',
        schemaLevel: 99,
        oldestSupportedCode: 98,
        codeLevel: migrations.length,
        message:
          `Schema "nestor" is at level 99 and needs code of level 98 or newer, but this release is of level ${migrations.length}. ` +
          'Upgrade the nestor package of this process, or use another schema.',
      });
    });

    it('is worked with when that only added to it', async () => {
      await prepareDatabase({ url: database.url });
      await later(7, 1);
      await sql(database, 'alter table nestor.flow_run add column invented_later text');

      const store = await openStore(database);
      try {
        const ids = await store.transactions.run((tx) => store.flows.register(tx, ['etl']));
        expect(await store.flows.findByName('etl')).toMatchObject({ id: ids.get('etl') });
      } finally {
        await store.dataSource.destroy();
      }
    });
  });

  describe('in a schema of another name', () => {
    it.each([
      ['an ordinary one', 'orders_flows'],
      ['one that is a word of SQL', 'order'],
      ['one that begins with an underscore', '_1'],
      ['the longest', 'a'.repeat(48)],
    ])('works with %s: %s', async (_, schema) => {
      const warnings = jest.spyOn(console, 'error');
      const store = await openStore(database, { schema });
      try {
        await store.transactions.run(async (tx) => {
          await store.flows.register(tx, ['etl']);
          await store.flowRuns.insert(tx, store.fence, [], []);
          await store.flowRuns.move(tx, store.fence, [], []);
          await store.taskRuns.save(tx, store.fence, [], []);
          await store.runValues.keep(tx, store.fence, []);
          await store.logs.append(tx, []);
          const process = { processId: store.fence.processId, app: 'test', flowIds: [], limit: 1 };
          await store.claims.claimFree(tx, process);
          await store.claims.release(tx, process.processId, [{ id: newId(), leaseEpoch: 0 }]);
          await store.flowRuns.releaseOrphans(tx, []);
          await store.processes.fence(tx, [], process.processId, { leaseMs: 1, hintMs: 1 });
          await store.processes.forgetFenced(tx, 'test');
          await store.processes.leave(tx, process.processId);
        });
        expect(await store.flowRuns.orphaned('test', [], 1)).toEqual([]);
        const served = { poolName: 'etl', poolType: 'nest', queueNames: null };
        expect(await store.claims.nextFreeInMs({ app: 'test', flowIds: [] })).toBeNull();
        expect((await store.claims.nextQueued({ app: 'test', flowIds: [] }, served)).ms).toBeNull();
        const claimant = { processId: store.fence.processId, app: 'test', flowIds: [], limit: 1 };
        expect(await store.claims.claimQueued(claimant, served)).toEqual([]);
        expect(await store.flows.findByName('etl')).toMatchObject({ name: 'etl' });
        expect(await store.events.listByRun('00000000-0000-7000-8000-000000000000', { limit: 1 })).toEqual([]);
        expect(warnings).not.toHaveBeenCalled();
        expect(await schemas()).toEqual(['public', schema].sort());
      } finally {
        warnings.mockRestore();
        await store.dataSource.destroy();
      }
    });

    it('refuses a name that SQL could not contain, before it connects', async () => {
      const url = 'postgres://nobody@127.0.0.1:1/nowhere';
      const error = await failureOf(prepareDatabase({ url, schema: 'a"b' }));
      expect(error).toMatchObject({ code: 'SCHEMA_NAME_INVALID', schema: 'a"b' });
    });

    it('does not meet another schema of the same database', async () => {
      const [one, two] = await Promise.all([
        openStore(database, { schema: 'first_app' }),
        openStore(database, { schema: 'second_app' }),
      ]);
      try {
        const register = (store: typeof one, name: string) =>
          store.transactions.run((tx) => store.flows.register(tx, [name]));
        const [inOne, inTwo] = await Promise.all([register(one, 'etl'), register(two, 'etl')]);
        expect(inOne.get('etl')).not.toBe(inTwo.get('etl'));
        await register(one, 'only-here');
        expect(await two.flows.findByName('only-here')).toBeNull();

        // What one schema is made of lies in it: nothing of it points into the other.
        const made = async (store: typeof one, name: string) =>
          (await describeSchema(store.dataSource, name)).map((line) => line.replaceAll(name, 'nestor'));
        expect(await made(one, 'first_app')).toEqual(await made(two, 'second_app'));
        await sql(database, 'drop schema first_app cascade');
        await register(two, 'still-works');
      } finally {
        await one.dataSource.destroy();
        await two.dataSource.destroy();
      }
    });
  });
});

describe('the rights of the role', () => {
  let superuser: EmbeddedSuperuser;
  beforeAll(async () => {
    superuser = await EmbeddedSuperuser.open();
  });
  afterAll(() => superuser.close());

  it('are too few when it may not create the schema, which is an error that says what to grant', async () => {
    const role = await superuser.createRole();
    const error = await failureOf(prepareDatabase({ url: superuser.urlOf(role), schema: 'not_mine' }));
    expect(error).toBeInstanceOf(SchemaPermissionError);
    expect(error).toMatchObject({ code: 'SCHEMA_PERMISSION_DENIED', schema: 'not_mine', cause: { code: '42501' } });
    expect((error as Error).message).toContain('Grant it CREATE on the database');
  });

  it('are enough when it may create schemas in the database', async () => {
    const role = await superuser.createRole();
    await superuser.query(`grant create on database ${superuser.database} to ${role}`);
    await prepareDatabase({ url: superuser.urlOf(role), schema: 'granted' });
    await superuser.query(`select from granted.flow; revoke create on database ${superuser.database} from ${role}`);
  });

  it('are enough when the schema is there and belongs to it', async () => {
    const role = await superuser.createRole();
    await superuser.query(`create schema given authorization ${role}`);
    await prepareDatabase({ url: superuser.urlOf(role), schema: 'given' });
    await superuser.query('select from given.flow');
  });

  it('are too few when the schema is there and somebody else’s', async () => {
    const role = await superuser.createRole();
    await superuser.query('create schema theirs');
    const error = await failureOf(prepareDatabase({ url: superuser.urlOf(role), schema: 'theirs' }));
    expect(error).toMatchObject({ code: 'SCHEMA_PERMISSION_DENIED', schema: 'theirs' });
  });

  it('to read and write are enough once somebody else has prepared the schema', async () => {
    const owner = await superuser.createRole();
    await superuser.query(`create schema shared authorization ${owner}`);
    await prepareDatabase({ url: superuser.urlOf(owner), schema: 'shared' });
    const role = await superuser.createRole();
    await superuser.query(`grant usage on schema shared to ${role};
      grant select, insert, update, delete on all tables in schema shared to ${role}`);

    const store = await openStore({ url: superuser.urlOf(role) }, { schema: 'shared' });
    const ids = await store.transactions.run((tx) => store.flows.register(tx, ['etl']));
    await store.dataSource.destroy();
    expect(ids.size).toBe(1);
  });
});
