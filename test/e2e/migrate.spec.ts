import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestDatabase } from '@nestor/testing';
import { migrations } from '../../migrations/index.js';
import { testDatabase } from '../support/database.js';
import { sql } from '../support/sql.js';
import { PATIENCE_MS } from './support/app-process.js';
import { postmasterPid, Scene } from './support/scene.js';

jest.setTimeout(PATIENCE_MS);

const LEVEL = migrations.length;
const BROUGHT = `Schema "nestor" was brought from level 0 to ${LEVEL}.\n`;
const CURRENT = `Schema "nestor" is at level ${LEVEL}; there is nothing to do.\n`;

/** The schema as a step of its own, before the bundled orchestrator starts. */
describe('npm start -- migrate', () => {
  const scene = new Scene();
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
    await sql(database, 'drop schema nestor cascade');
  });
  afterEach(() => scene.end());
  afterAll(() => database.drop());

  const ended = async (env: Readonly<Record<string, string>>, ...options: string[]) => {
    const app = scene.start({ cwd: scene.directory(), env, args: ['migrate', ...options] });
    const { code } = await app.exit;
    return { code, stdout: app.stdout, errors: app.errors };
  };

  it('creates the schema, says from where to where it went, and ends; --check says whether it is there', async () => {
    const env = { DATABASE_URL: database.url };
    expect(await ended(env, '--check')).toEqual({
      code: 1,
      stdout: '',
      errors: expect.stringMatching(
        /^SCHEMA_NOT_MIGRATED: Schema "nestor" does not exist yet [^\n]* "npm start -- migrate" [^\n]*\n$/,
      ) as string,
    });
    expect(await sql(database, `select from pg_namespace where nspname = 'nestor'`)).toEqual([]);
    expect(await ended(env)).toEqual({ code: 0, stdout: BROUGHT, errors: '' });
    expect(await ended(env)).toEqual({ code: 0, stdout: CURRENT, errors: '' });
    expect(await ended(env, '--check')).toEqual({ code: 0, stdout: CURRENT, errors: '' });
  });

  it('starts the embedded server for that, and stops it again', async () => {
    const env = { NESTOR_HOME: join(scene.directory(), 'home') };
    expect(await ended(env, '--check')).toMatchObject({
      ...{ code: 1, stdout: '' },
      errors: expect.stringMatching(/^EMBEDDED_POSTGRES_NOT_CREATED: /) as string,
    });
    expect(existsSync(env.NESTOR_HOME)).toBe(false);
    expect(await ended(env)).toMatchObject({ code: 0, stdout: BROUGHT });
    expect(postmasterPid(env.NESTOR_HOME)).toBeNull();
    expect(await ended(env, '--check')).toMatchObject({ code: 0, stdout: CURRENT });
    expect(postmasterPid(env.NESTOR_HOME)).toBeNull();
  });

  it('says what is in its way', async () => {
    expect(await ended({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere' })).toMatchObject({
      ...{ code: 1, stdout: '' },
      errors: expect.stringMatching(/^DATABASE_UNREACHABLE: [^\n]*\n$/) as string,
    });
  });

  it('does nothing when it is asked for something that it does not know', async () => {
    const home = join(scene.directory(), 'home');
    expect(await ended({ NESTOR_HOME: home }, '--dry-run')).toEqual({
      ...{ code: 2, stdout: '' },
      errors: 'There is no option "--dry-run" of migrate, but --check; nothing was done.\n',
    });
    expect(existsSync(home)).toBe(false);
  });
});
