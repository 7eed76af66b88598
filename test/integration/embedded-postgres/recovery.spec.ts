import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from 'pg';

import { resolveClusterHome } from '../../../libs/orchestrator/src/persistence/embedded-postgres/cluster-home.js';
import { waitForOrphans } from '../../../libs/orchestrator/src/persistence/embedded-postgres/postmaster.js';
import { PreparedCluster } from './support/prepared-cluster.js';
import { createCheckout } from './support/sandbox.js';
import { NOBODY, Scene, asRoot, isAlive, killPostmaster, query, waitFor } from './support/scene.js';

const incomplete = (home: string): string[] =>
  existsSync(home) ? readdirSync(home).filter((name) => name.startsWith('data.incomplete')) : [];

let prepared: PreparedCluster;
beforeAll(async () => (prepared = await PreparedCluster.make()));
afterAll(() => prepared.end());

describe('an embedded PostgreSQL that was killed', () => {
  const scene = new Scene();
  let home: string;
  beforeEach(() => (home = join(scene.directory(), 'pg')));
  afterEach(() => scene.end());

  async function openWithRow(): Promise<{ server: Awaited<ReturnType<Scene['open']>> }> {
    prepared.copyTo(home);
    const server = await scene.open(home);
    await query(server.connection, 'CREATE TABLE kept AS SELECT 1 AS id');
    return { server };
  }

  async function expectRecovered(): Promise<void> {
    const server = await scene.open(home);
    expect(await query(server.connection, 'SELECT id FROM kept')).toEqual([{ id: 1 }]);
    expect(scene.lines.at(-1)).toMatch(/^recovered the server/);
  }

  it('recovers with every committed row', async () => {
    await openWithRow();
    await killPostmaster(home);
    await expectRecovered();
  });

  it('recovers although its pid belongs to somebody else by now, who is left alone', async () => {
    await openWithRow();
    const socketLock = join(home, 'socket/.s.PGSQL.5432.lock');
    const stale = [join(home, 'data/postmaster.pid'), socketLock].map(
      (file) => [file, readFileSync(file, 'utf8')] as const,
    );
    await killPostmaster(home);
    // Of the server's user: for another one's process PostgreSQL finds out by itself.
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { cwd: '/', ...(asRoot && NOBODY) });
    try {
      for (const [file, text] of stale) writeFileSync(file, text.replace(/^\d+/, String(other.pid)));
      await expectRecovered();
      expect(isAlive(other.pid ?? 0)).toBe(true);
    } finally {
      other.kill('SIGKILL');
      await once(other, 'exit');
    }
  });

  if (process.platform === 'linux') {
    it('waits for its surviving processes, and names them when they do not go', async () => {
      const { server } = await openWithRow();
      const client = new Client(server.connection);
      client.on('error', () => undefined);
      await client.connect();
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const survivor = rows[0]?.pid ?? 0;
      process.kill(survivor, 'SIGSTOP');
      await killPostmaster(home);

      const cluster = resolveClusterHome(home, () => undefined);
      await expect(waitForOrphans(cluster, 300)).rejects.toMatchObject({
        code: 'EMBEDDED_POSTGRES_ORPHANED_PROCESSES',
        pids: [survivor],
      });
      process.kill(survivor, 'SIGCONT');
      await expectRecovered();
      expect(isAlive(survivor)).toBe(false);
      await client.end().catch(() => undefined);
    });

    it('ends a surviving process that computes and would not notice', async () => {
      const { server } = await openWithRow();
      const client = new Client(server.connection);
      client.on('error', () => undefined);
      await client.connect();
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const computing = client.query('SELECT count(*) FROM generate_series(1, 1e12) AS n').catch(() => undefined);
      await killPostmaster(home);

      await expectRecovered();
      expect(isAlive(rows[0]?.pid ?? 0)).toBe(false);
      await computing;
      await client.end().catch(() => undefined);
    });
  }

  it('serves its other users again under the same address', async () => {
    const { server } = await openWithRow();
    await killPostmaster(home);
    await scene.open(home);
    expect(await query(server.connection, 'SELECT id FROM kept')).toEqual([{ id: 1 }]);
  });

  it('closes quietly when it is not there any more', async () => {
    const { server } = await openWithRow();
    await killPostmaster(home);
    await expect(server.close()).resolves.toBeUndefined();
  });
});

describe('a set-up that was cut short', () => {
  const installation = new Scene();
  const scene = new Scene();
  let checkout: string;
  let home: string;
  beforeAll(() => (checkout = createCheckout(installation.directory())));
  afterAll(() => installation.end());
  beforeEach(() => (home = join(scene.directory(), 'pg')));
  afterEach(() => scene.end());

  it('in initdb is redone', async () => {
    const victim = scene.child(checkout);
    const opening = victim.open(home).catch(() => undefined);
    await waitFor(() => incomplete(home).some((name) => existsSync(join(home, name, 'data/global'))));
    await victim.kill();
    await opening;
    expect(existsSync(join(home, 'data'))).toBe(false);

    const server = await scene.open(home);
    expect(scene.lines[0]).toMatch(/^creating/);
    expect(await query(server.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(incomplete(home)).toEqual([]);
  });

  it('before the role and database were made is completed', async () => {
    prepared.copyTo(home);
    const server = await scene.open(home);
    const superuser = {
      ...server.connection,
      user: 'postgres',
      password: readFileSync(join(home, 'superuser-password'), 'utf8'),
      database: 'postgres',
    };
    await query(superuser, 'DROP DATABASE nestor');
    await query(superuser, 'DROP ROLE nestor');
    const next = await scene.open(home);
    expect(await query(next.connection, 'SELECT current_user AS user')).toEqual([{ user: 'nestor' }]);
  });

  it('with a lost application password gets a new one', async () => {
    prepared.copyTo(home);
    rmSync(join(home, 'application-password'));
    const server = await scene.open(home);
    expect(await query(server.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('with both passwords lost says which file is missing', async () => {
    prepared.copyTo(home);
    rmSync(join(home, 'application-password'));
    rmSync(join(home, 'superuser-password'));
    await expect(scene.open(home)).rejects.toMatchObject({
      code: 'EMBEDDED_POSTGRES_PASSWORD_REJECTED',
      passwordFile: join(home, 'superuser-password'),
    });
    expect(existsSync(join(home, 'data/postmaster.pid'))).toBe(false);
  });

  it('leaves foreign files in the directory alone', async () => {
    mkdirSync(home);
    writeFileSync(join(home, 'notes.txt'), 'mine');
    await scene.open(home);
    expect(readFileSync(join(home, 'notes.txt'), 'utf8')).toBe('mine');
  });
});
