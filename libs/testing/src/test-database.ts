import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { EmbeddedPostgres, prepareDatabase } from '@nestor/orchestrator';
import { Client, escapeIdentifier } from 'pg';

export interface TestDatabaseOptions {
  /**
   * A server whose role may create databases. Default: an embedded one, shared by the test files of this machine and
   * stopped by the last of them.
   */
  readonly server?: string;
  /** Where the embedded server keeps its data. Default `node_modules/.cache/nestor-test` in the working directory. */
  readonly home?: string;
  /** The schema to prepare. Default `nestor`. */
  readonly schema?: string;
}

/** A database of its own, with the schema in place. */
export interface TestDatabase {
  /** For `OrchestratorModule.forRoot({ database: { url } })`. */
  readonly url: string;
  /** Removes the database and whatever is still connected to it, and stops the server if nobody else uses it. */
  drop(): Promise<void>;
}

/**
 * A fresh, empty database for a test file, cloned from a template that was migrated once: files can run side by side, and
 * none sees what another wrote.
 *
 * @throws {EmbeddedPostgresUnavailableError} when there is no embedded server for this platform; give `server` then.
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { home = join('node_modules', '.cache', 'nestor-test'), schema = 'nestor' } = options;
  const embedded =
    options.server === undefined ? await EmbeddedPostgres.open({ directory: join(home, 'postgres') }) : null;
  const server = options.server ?? embedded?.url ?? '';
  try {
    const name = `nestor_test_${process.pid}_${randomBytes(4).toString('hex')}`;
    await administer(server, (admin) => cloneTemplate(admin, { server, schema, name }));
    return {
      url: withDatabase(server, name),
      drop: async () => {
        await administer(server, (admin) => dropDatabase(admin, name));
        await embedded?.close();
      },
    };
  } catch (error) {
    await embedded?.close();
    throw error;
  }
}

/**
 * Clones the template, which whoever comes first has created. It is prepared every time: that is cheap when it is up to
 * date, and brings the template of an earlier release up to this one. One at a time, because a database that somebody is
 * connected to cannot be cloned.
 */
async function cloneTemplate(
  admin: Client,
  { server, schema, name }: { server: string; schema: string; name: string },
): Promise<void> {
  const template = `nestor_test_template_${schema}`;
  await admin.query(`select pg_advisory_lock(hashtextextended($1, 0))`, [template]);
  const { rowCount } = await admin.query('select 1 from pg_database where datname = $1', [template]);
  if (rowCount === 0) await admin.query(`create database ${escapeIdentifier(template)}`);
  await prepareDatabase({ url: withDatabase(server, template), schema });
  await admin.query(`create database ${name} template ${escapeIdentifier(template)}`);
}

/**
 * Drops a database with whatever sessions of our role are left in it. Not `with (force)`: where autovacuum is at work, that
 * asks for the right to end a superuser's process, while a plain drop tells autovacuum to leave and waits for it.
 */
async function dropDatabase(admin: Client, name: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = current_user`,
      [name],
    );
    try {
      await admin.query(`drop database if exists ${name}`);
      return;
    } catch (error) {
      // An application that did not start may have been opening a session just then.
      if ((error as { code?: unknown }).code !== OBJECT_IN_USE || attempt === DROP_ATTEMPTS) throw error;
    }
  }
}

const DROP_ATTEMPTS = 5;
/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const OBJECT_IN_USE = '55006';

async function administer(server: string, work: (admin: Client) => Promise<unknown>): Promise<void> {
  const admin = new Client({ connectionString: server });
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

function withDatabase(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.toString();
}
