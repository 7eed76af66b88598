import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../support/database.js';
import { sql } from '../support/sql.js';
import { PATIENCE_MS } from './support/app-process.js';
import { postmasterPid, Scene } from './support/scene.js';

jest.setTimeout(PATIENCE_MS);

const PASSWORD = 'spoken-s3cret';
const scene = new Scene();
let database: TestDatabase;
let occupied: Server;
beforeAll(async () => {
  database = await testDatabase();
  occupied = createServer().listen(0, '127.0.0.1');
  await once(occupied, 'listening');
});
afterAll(async () => {
  occupied.close();
  await database.drop();
});
afterEach(() => scene.end());

/** The URL of the test database with something changed. */
function databaseUrl(change: (url: URL) => void): string {
  const url = new URL(database.url);
  change(url);
  return url.toString();
}

function occupiedPort(): number {
  return (occupied.address() as { port: number }).port;
}

const PROBLEMS: readonly (readonly [what: string, env: () => Record<string, string>, code: string, remedy: RegExp])[] =
  [
    [
      'a port that is no number',
      () => ({ NESTOR_PORT: 'http' }),
      'ENVIRONMENT_INVALID',
      /NESTOR_PORT must be a whole number from 0 to 65535/,
    ],
    [
      'an address that others can reach, without a password',
      () => ({ NESTOR_HOST: '0.0.0.0' }),
      'ENVIRONMENT_INVALID',
      /NESTOR_HOST is "0\.0\.0\.0", which others can reach; set NESTOR_AUTH=user:password/,
    ],
    [
      'several variables at once',
      () => ({ NESTOR_PORT: '65536', NESTOR_POOL_SIZE: '0', NESTOR_AUTH: PASSWORD }),
      'ENVIRONMENT_INVALID',
      /NESTOR_PORT must .*; NESTOR_AUTH must .*; NESTOR_POOL_SIZE must /,
    ],
    [
      'a schema that is no name',
      () => ({ NESTOR_SCHEMA: 'No;Name', DATABASE_URL: database.url }),
      'SCHEMA_NAME_INVALID',
      /"No;Name" is no name for a schema; use up to 48 lower-case letters/,
    ],
    [
      'a database URL that is none',
      () => ({ DATABASE_URL: `mysql://root:${PASSWORD}@localhost/nestor` }),
      'DATABASE_URL_INVALID',
      /does not start with postgres:\/\/; it should look like /,
    ],
    [
      'a database URL without a readable port',
      () => ({ DATABASE_URL: `postgres://nestor:${PASSWORD}@localhost:port/nestor` }),
      'DATABASE_URL_INVALID',
      /it should look like postgres:\/\/user:password@host:5432\/database/,
    ],
    [
      'a database server that does not answer',
      () => ({ DATABASE_URL: `postgres://nestor:${PASSWORD}@127.0.0.1:1/nestor` }),
      'DATABASE_UNREACHABLE',
      /No PostgreSQL server answers at nestor@127\.0\.0\.1:1\/nestor .*ECONNREFUSED.* Check that it runs/,
    ],
    [
      'a database server with a name nobody knows',
      () => ({ DATABASE_URL: `postgres://nestor:${PASSWORD}@database.invalid/nestor` }),
      'DATABASE_UNREACHABLE',
      /answers at nestor@database\.invalid:5432\/nestor/,
    ],
    [
      'a wrong password of the database',
      () => ({ DATABASE_URL: databaseUrl((url) => (url.password = PASSWORD)) }),
      'DATABASE_LOGIN_FAILED',
      /refused the login .* Check user and password of the database URL/,
    ],
    [
      'a database that does not exist',
      () => ({ DATABASE_URL: databaseUrl((url) => (url.pathname = '/nestor_nowhere')) }),
      'DATABASE_MISSING',
      /\/nestor_nowhere does not exist\. Create it \("createdb"\)/,
    ],
    [
      'a port that somebody else has',
      () => ({ NESTOR_PORT: String(occupiedPort()), DATABASE_URL: database.url }),
      'PORT_IN_USE',
      /Port \d+ of 127\.0\.0\.1 is in use.* NESTOR_PORT=\d+ npm start$/,
    ],
    [
      'an address of another machine',
      () => ({ NESTOR_HOST: '203.0.113.9', NESTOR_AUTH: `me:${PASSWORD}`, DATABASE_URL: database.url }),
      'ADDRESS_UNUSABLE',
      /Cannot listen on port 0 of 203\.0\.113\.9 .*Correct NESTOR_HOST and NESTOR_PORT/,
    ],
  ];

it.each(PROBLEMS)('%s is one clear line and exit code 1', async (_, env, code, remedy) => {
  const home = scene.directory();
  const app = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home, ...env() } });

  expect(await app.exit).toEqual({ code: 1, signal: null });
  const said = app.errors;
  expect(said.split('\n')).toEqual([expect.stringMatching(remedy), '']);
  expect(said).toMatch(new RegExp(`^${code}: `));
  expect(app.stdout + said).not.toContain(PASSWORD);
  expect(app.stdout).not.toMatch(/Ready|ERROR|WARN/);
  expect(existsSync(join(home, 'postgres'))).toBe(false);
});

it('the demo says it in the same way', async () => {
  const demo = scene.demo({ cwd: scene.directory(), env: { DATABASE_URL: `postgres://a:${PASSWORD}@127.0.0.1:1/b` } });
  expect(await demo.exit).toEqual({ code: 1, signal: null });
  expect(demo.errors).toMatch(/^DATABASE_UNREACHABLE: [^\n]*\n$/);
  expect(demo.stdout).toBe('');
});

it('a check before code is deployed makes no database where there is none', async () => {
  const home = join(scene.directory(), 'home');
  const check = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home }, args: ['deploy-check'] });
  expect(await check.exit).toEqual({ code: 1, signal: null });
  expect(check.errors).toMatch(
    /^EMBEDDED_POSTGRES_NOT_CREATED: There is no embedded PostgreSQL in [^\n]*\(NESTOR_HOME, [^\n]*\n$/,
  );
  expect(check.stdout).toBe('');
  expect(existsSync(home)).toBe(false);
});

it.each([
  [['--help'], 0, /^npm start -- \[--run-once \| services \| demo \| migrate \[--check\] \| deploy-check\]\n/, /^$/],
  [
    ['deploy-check', '-h'],
    0,
    /^npm start -- \[--run-once \| services \| demo \| migrate \[--check\] \| deploy-check\]\n/,
    /^$/,
  ],
  [['--port', '80'], 2, /^$/, /^There is nothing called "--port" .*\nMore: npm start -- --help\n$/],
])('with %j nothing is started, and it says what could be', async (args, code, output, errors) => {
  const home = scene.directory();
  const app = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home }, args });
  expect(await app.exit).toEqual({ code, signal: null });
  expect(app.stdout).toMatch(output);
  expect(app.stderr).toMatch(errors);
  expect(existsSync(join(home, 'postgres'))).toBe(false);
});

it('an occupied port takes the embedded server down again', async () => {
  const home = scene.directory();
  const app = scene.start({
    cwd: scene.directory(),
    env: { NESTOR_HOME: home, NESTOR_PORT: String(occupiedPort()) },
  });
  expect(await app.exit).toEqual({ code: 1, signal: null });
  expect(app.stderr).toMatch(/^PORT_IN_USE: /m);
  expect(app.lines.at(-1)).toMatch(/stopped the server/);
  expect(postmasterPid(home)).toBeNull();
});

it('a schema that a later release has changed beyond recognition is refused, and left alone', async () => {
  await sql(database, 'update nestor.schema_info set level = 1001, oldest_supported_code = 1000');
  try {
    const app = scene.start({ cwd: scene.directory(), env: { DATABASE_URL: database.url } });
    expect(await app.exit).toEqual({ code: 1, signal: null });
    expect(app.errors).toMatch(
      /^SCHEMA_TOO_NEW: Schema "nestor" is at level 1001 and needs code of level 1000 or newer, .* Upgrade the nestor package[^\n]*\n$/,
    );
    expect(await sql(database, 'select level, oldest_supported_code as oldest from nestor.schema_info')).toEqual([
      { level: 1001, oldest: 1000 },
    ]);
  } finally {
    await sql(database, 'update nestor.schema_info set level = 1, oldest_supported_code = 1');
  }
});

it('a schema that is newer, but still serves this release, is fine', async () => {
  await sql(database, 'update nestor.schema_info set level = 1001');
  try {
    const app = scene.start({ cwd: scene.directory(), env: { DATABASE_URL: database.url } });
    await app.ready();
    expect(await app.stop()).toEqual({ code: 0, signal: null });
  } finally {
    await sql(database, 'update nestor.schema_info set level = 1');
  }
});
