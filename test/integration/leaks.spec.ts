import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Client, type ClientConfig } from 'pg';
import { compile, temporaryDirectory } from './embedded-postgres/support/sandbox.js';
import { waitFor } from '../support/wait-for.js';

const REPOSITORY = resolve(__dirname, '../..');
const PROGRAM = 'test/support/leaks';

/** How long the process may take from `app.close()` to its end: a drain of 100 ms, and the stop of the server. */
const EXIT_MS = 8_000;

describe('a process whose application was closed', () => {
  let directory: string;
  let child: ChildProcess;
  let home: string;
  let exitCode: number | null;
  let exitMs: number;
  let results: unknown;
  let connections: number;
  let serverProcesses: number[];

  beforeAll(async () => {
    directory = temporaryDirectory();
    const checkout = join(directory, 'checkout');
    for (const source of ['libs/core/src', 'libs/orchestrator/src', 'migrations', PROGRAM]) {
      compile(join(REPOSITORY, source), checkout);
    }
    symlinkSync(join(REPOSITORY, 'node_modules'), join(checkout, 'node_modules'), 'junction');
    // Whatever the process writes, it writes to one of these; the database server is another user when we are root.
    for (const name of ['home', 'temporary', 'user', 'working']) {
      mkdirSync(join(directory, name));
      chmodSync(join(directory, name), 0o777);
    }
    home = join(directory, 'home');

    const [temporary, user] = [join(directory, 'temporary'), join(directory, 'user')];
    child = fork(join(checkout, PROGRAM, 'small-app.js'), [home, join(directory, 'report.json')], {
      cwd: join(directory, 'working'),
      env: { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary, HOME: user },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'], // streams of ours would be among the handles of the process
    });
    const exited = once(child, 'exit') as Promise<[number | null]>;
    const [ready] = (await Promise.race([
      once(child, 'message'),
      exited.then(([code]) => Promise.reject(new Error(`The program ended early, with ${code}.`))),
    ])) as [{ results: unknown; server: ClientConfig }];
    ({ results } = ready);
    await lookAt(ready.server);

    const closing = performance.now();
    child.send('close');
    [exitCode] = await exited;
    exitMs = performance.now() - closing;
  }, 60_000);
  afterAll(() => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  /** Sees the server from outside: who is connected, and which processes it consists of. */
  const lookAt = async (server: ClientConfig): Promise<void> => {
    const client = new Client(server);
    await client.connect();
    const { rows } = await client.query<{ pid: number; application_name: string | null }>(
      'select pid, application_name from pg_stat_activity where pid <> pg_backend_pid()',
    );
    await client.end();
    connections = rows.filter(({ application_name: name }) => name === 'nestor:default').length;
    const postmaster = Number.parseInt(readFileSync(join(home, 'postgres/data/postmaster.pid'), 'utf8'), 10);
    serverProcesses = [postmaster, ...rows.map(({ pid }) => pid)];
  };
  const isAlive = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
  };

  it('had runs, connections and a database server', () => {
    expect(results).toEqual([22, 2, 3]);
    expect(connections).toBeGreaterThan(0);
    expect(serverProcesses.length).toBeGreaterThan(connections);
  });

  it('ends by itself, at once and in peace', () => {
    expect(exitCode).toBe(0);
    expect(exitMs).toBeLessThan(EXIT_MS);
  });

  it('has no handle, timer or request left when app.close() resolves', () => {
    expect(JSON.parse(readFileSync(join(directory, 'report.json'), 'utf8'))).toEqual([]);
  });

  it('leaves no process behind, neither the server nor one of its workers', async () => {
    await waitFor(() => !serverProcesses.some(isAlive));
  });

  it('leaves no file outside the directory it was given', () => {
    const names = ['temporary', 'user', 'working'] as const;
    expect(names.map((name) => readdirSync(join(directory, name)))).toEqual([[], [], []]);
    expect(readdirSync(directory).sort()).toEqual(['checkout', 'home', 'report.json', 'temporary', 'user', 'working']);
  });

  it('leaves no lock, socket or registration in it', () => {
    expect(readdirSync(home)).toEqual(['postgres']);
    const kept = readdirSync(join(home, 'postgres'));
    expect(kept.sort()).toEqual(['application-password', 'data', 'server.log', 'superuser-password', 'users']);
    expect(readdirSync(join(home, 'postgres/users'))).toEqual([]);
    expect(readdirSync(join(home, 'postgres/data'))).not.toContain('postmaster.pid');
  });
});
