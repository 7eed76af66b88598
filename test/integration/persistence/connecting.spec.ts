import {
  DatabaseLoginError,
  DatabaseMissingError,
  DatabaseUnreachableError,
  InvalidDatabaseUrlError,
  isPassing,
  prepareDatabase,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { sql } from '../../support/sql.js';
import { EmbeddedSuperuser } from './support/embedded-superuser.js';
import { emptyDatabase, open } from './support/store.js';

/** What an application that is given such a URL throws at its start. */
async function failureOf(url: string): Promise<Error & { cause?: unknown }> {
  try {
    await prepareDatabase({ url });
  } catch (error) {
    return error as Error;
  }
  throw new Error('It worked.');
}

const PASSWORD = 'swordfish-7';

describe('a database URL', () => {
  it.each([
    ['nothing', '', 'does not start with postgres://'],
    ['another scheme', `mysql://ada:${PASSWORD}@db.example/runs`, 'does not start with postgres://'],
    ['no scheme', `ada:${PASSWORD}@db.example/runs`, 'does not start with postgres://'],
    ['a port that is no number', `postgres://ada:${PASSWORD}@db.example:fivefourthreetwo/runs`, 'cannot be read'],
    ['a port that does not exist', `postgres://ada:${PASSWORD}@db.example:99999/runs`, 'cannot be read'],
    ['a port 0', `postgres://ada:${PASSWORD}@db.example:0/runs`, 'names no valid port'],
    ['a port 0 in its query', `postgres://ada:${PASSWORD}@db.example/runs?port=0`, 'names no valid port'],
    ['no database', `postgres://ada:${PASSWORD}@db.example`, 'names no database'],
    ['no database after the slash', `postgres://ada:${PASSWORD}@db.example/`, 'names no database'],
    ['a certificate that is not there', `postgres://ada:${PASSWORD}@h/db?sslrootcert=/nowhere/x`, 'cannot be read'],
  ])('with %s is refused, and its password not told', async (_, url, problem) => {
    const error = await failureOf(url);
    expect(error).toBeInstanceOf(InvalidDatabaseUrlError);
    expect(error).toMatchObject({ code: 'DATABASE_URL_INVALID', problem });
    expect(error.message).toBe(
      `The database URL ${problem}; it should look like postgres://user:password@host:5432/database.`,
    );
    expect(inspect(error)).not.toContain(PASSWORD);
  });
});

describe('a server', () => {
  let server: Server | undefined;
  const sockets: Socket[] = [];
  afterEach(async () => {
    sockets.splice(0).forEach((socket) => socket.destroy());
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    server = undefined;
  });

  /** Something that listens on a port of its own and does this with whoever connects. */
  async function listening(greet: (socket: Socket) => void): Promise<number> {
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      greet(socket);
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  it.each([
    ['hangs up', (socket: Socket) => socket.end()],
    ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
    ['speaks another protocol', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('that %s is no PostgreSQL server', async (_, greet) => {
    const port = await listening(greet);
    const error = await failureOf(`postgres://ada:${PASSWORD}@127.0.0.1:${port}/runs`);
    expect(error).toBeInstanceOf(DatabaseUnreachableError);
    expect(error.message).toContain(`No PostgreSQL server answers at ada@127.0.0.1:${port}/runs`);
  });

  it('that does not listen is unreachable; the error says where, why, and what to look at', async () => {
    const port = await listening(() => undefined);
    await new Promise((resolve) => server!.close(resolve));
    server = undefined;
    const error = await failureOf(`postgres://ada:${PASSWORD}@127.0.0.1:${port}/runs`);
    expect(error).toBeInstanceOf(DatabaseUnreachableError);
    expect(error).toMatchObject({
      code: 'DATABASE_UNREACHABLE',
      address: `ada@127.0.0.1:${port}/runs`,
      cause: { code: 'ECONNREFUSED' },
    });
    expect(error.message).toMatch(/ECONNREFUSED.*Check that it runs and that host and port/);
    expect(inspect(error)).not.toContain(PASSWORD);
  });

  it('of a name nobody knows is unreachable', async () => {
    const error = await failureOf(`postgres://ada:${PASSWORD}@no-such-host.invalid/runs`);
    expect(error).toMatchObject({ code: 'DATABASE_UNREACHABLE', address: 'ada@no-such-host.invalid:5432/runs' });
  });

  it('whose socket is not there is unreachable', async () => {
    const error = await failureOf(`postgres://ada:${PASSWORD}@localhost/runs?host=/nowhere/at/all`);
    expect(error).toMatchObject({ code: 'DATABASE_UNREACHABLE', cause: { code: 'ENOENT' } });
    expect(error.message).toContain('ada@/nowhere/at/all:5432/runs');
  });
});

describe('a login', () => {
  let superuser: EmbeddedSuperuser;
  let role: string;
  beforeAll(async () => {
    superuser = await EmbeddedSuperuser.open();
    role = await superuser.createRole();
  });
  afterAll(() => superuser.close());

  it.each([
    ['a wrong password', () => superuser.urlOf(role, { password: PASSWORD })],
    ['a user the server does not know', () => superuser.urlOf('nobody_of_that_name', { password: PASSWORD })],
  ])('with %s is refused, and the password not told', async (_, url) => {
    const error = await failureOf(url());
    expect(error).toBeInstanceOf(DatabaseLoginError);
    expect(error).toMatchObject({ code: 'DATABASE_LOGIN_FAILED', cause: { code: '28P01' } });
    expect(error.message).toContain('Check user and password of the database URL.');
    expect(inspect(error)).not.toContain(PASSWORD);
  });

  it('of a role that may not log in is refused', async () => {
    const locked = await superuser.createRole();
    await superuser.query(`alter role ${locked} nologin`);
    expect(await failureOf(superuser.urlOf(locked))).toMatchObject({ code: 'DATABASE_LOGIN_FAILED' });
  });

  it('of a role that may not use the database is refused', async () => {
    await superuser.query(`revoke connect on database ${superuser.database} from public`);
    try {
      expect(await failureOf(superuser.urlOf(role))).toMatchObject({
        code: 'DATABASE_LOGIN_FAILED',
        cause: { code: '42501' },
      });
    } finally {
      await superuser.query(`grant connect on database ${superuser.database} to public`);
    }
  });

  it('to a database that does not exist says that', async () => {
    const error = await failureOf(superuser.urlOf(role, { database: 'nestor_test_nowhere' }));
    expect(error).toBeInstanceOf(DatabaseMissingError);
    expect(error).toMatchObject({ code: 'DATABASE_MISSING', cause: { code: '3D000' } });
    expect(error.message).toMatch(/\/nestor_test_nowhere does not exist\. Create it/);
  });

  it('that finds no place on the server is unreachable for now, and says why', async () => {
    await superuser.query(`alter role ${role} connection limit 0`);
    try {
      const error = await failureOf(superuser.urlOf(role));
      expect(error).toMatchObject({ code: 'DATABASE_UNREACHABLE', cause: { code: '53300' } });
      expect(error.message).toContain('too many connections');
    } finally {
      await superuser.query(`alter role ${role} connection limit -1`);
    }
  });
});

describe('a pool', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await emptyDatabase();
  });
  afterAll(() => database.drop());

  it('tells of a connection that broke while idle, and goes on with another', async () => {
    let tell: (line: string) => void = () => undefined;
    const told = new Promise<string>((resolve) => (tell = resolve));
    const dataSource = await open(database, { poolSize: 1, log: (line) => tell(line) });
    try {
      await dataSource.query('select 1');
      await sql(
        database,
        `select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'nestor:test' and datname = current_database()`,
      );
      expect(await told).toMatch(/^An idle database connection broke: /);
      expect(await dataSource.query('select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await dataSource.destroy();
    }
  });

  it('outlives a server that ends a connection in the packet that says it is ready', async () => {
    let tell: (line: string) => void = () => undefined;
    const isEmpty = new Promise<string>((resolve) => (tell = resolve));
    const proxy = await DatabaseProxy.start(database);
    const dataSource = await open({ url: proxy.url }, { poolSize: 1, log: (line) => tell(line) });
    try {
      proxy.cut();
      await isEmpty;
      await proxy.restore();
      proxy.endNext();
      const failure: unknown = await dataSource.query('select 1').catch((error: unknown) => error);
      expect(isPassing(failure)).toBe(true);
      expect(await dataSource.query('select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await dataSource.destroy();
      proxy.close();
    }
  });
});
