import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../support/database.js';
import { illegalHistories, stateNames } from '../support/history.js';
import { sql } from '../support/sql.js';
import { waitFor } from '../support/wait-for.js';
import { PATIENCE_MS } from './support/app-process.js';
import { isAlive, postmasterPid, Scene } from './support/scene.js';

jest.setTimeout(2 * PATIENCE_MS);

const CLEAN = { code: 0, signal: null };
const scene = new Scene();
afterEach(() => scene.end());

describe('stopping the bundled orchestrator with its embedded database', () => {
  /** Where nothing else is said: whoever comes first makes the cluster, and the others find it, as a second start does. */
  const shared = new Scene();
  let home: string;
  beforeAll(() => void (home = shared.directory()));
  afterAll(() => shared.end());

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s ends it and the database server, in order', async (signal) => {
    const app = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home } });
    await app.ready();
    const postmaster = postmasterPid(home)!;
    expect(isAlive(postmaster)).toBe(true);

    expect(await app.stop(signal)).toEqual(CLEAN);
    expect(isAlive(postmaster)).toBe(false);
    expect(postmasterPid(home)).toBeNull();
    expect(app.lines.at(-1)).toMatch(/stopped the server/);
    expect(app.stderr).not.toMatch(/error|warn/i);
  });

  it('takes the Ctrl-C of a terminal, which npm passes on a second time, for one request', async () => {
    const app = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home } });
    await app.ready();
    app.interrupt();
    app.interrupt();
    expect(await app.exit).toEqual(CLEAN);
    expect(postmasterPid(home)).toBeNull();
  });

  it('leaves no database server behind when it is told to stop while it starts', async () => {
    const home = scene.directory();
    const app = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home } });
    await app.line(/started the server/); // the tables have still to be made
    const postmaster = await waitFor(() => postmasterPid(home));
    expect(await app.stop('SIGTERM')).toEqual(CLEAN);
    expect(isAlive(postmaster)).toBe(false);
  });

  it('leaves nothing behind that hinders the next start when Ctrl-C comes while the cluster is created', async () => {
    const home = scene.directory();
    const app = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home } });
    await app.line(/creating a PostgreSQL/);
    app.interrupt();
    await app.exit;
    expect(app.errors.split('\n').length).toBeLessThanOrEqual(2);

    const again = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home } });
    await again.ready();
    expect(await again.stop()).toEqual(CLEAN);
  });

  it('is not held up by a client that never ends its request', async () => {
    const app = scene.start({ cwd: scene.directory(), env: { NESTOR_HOME: home } });
    const { hostname, port } = new URL(await app.ready());
    const client = connect(Number(port), hostname);
    client.on('error', () => undefined);
    await once(client, 'connect');
    client.write('GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api/flow_runs HTTP/1.1\r\nHost: loc');
    await once(client, 'data');
    try {
      const asked = performance.now();
      expect(await app.stop()).toEqual(CLEAN);
      expect(performance.now() - asked).toBeLessThan(10_000);
    } finally {
      client.destroy();
    }
  });
});

describe('stopping it while a flow runs', () => {
  let database: TestDatabase;
  beforeEach(async () => void (database = await testDatabase()));
  afterEach(() => database.drop());

  const flowRuns = () =>
    sql<{ id: string; state_type: string }>(database, 'select id, state_type from nestor.flow_run');
  const unfinishedTasks = () =>
    sql(
      database,
      `select id, state_type from nestor.task_run
        where state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')`,
    );

  it('lets the run end within the time it is given', async () => {
    const app = scene.start({ env: { DATABASE_URL: database.url, NESTOR_HOME: scene.directory() } });
    await app.line(/A first flow is running/);
    expect(await app.stop()).toEqual(CLEAN);

    const [run] = await flowRuns();
    expect(await stateNames(database, run!.id)).toEqual(['Pending', 'Running', 'Completed']);
    expect(await unfinishedTasks()).toEqual([]);
    expect(await illegalHistories(database)).toEqual([]);
    expect(app.stdout).not.toMatch(/WARN|ERROR/);
  });

  it('hands it back when there is no time, and goes on with it after the next start', async () => {
    const home = scene.directory();
    const env = { DATABASE_URL: database.url, NESTOR_HOME: home };
    const app = scene.start({ env: { ...env, NESTOR_DRAIN: '1ms' } });
    await app.line(/A first flow is running/);
    const asked = performance.now();
    expect(await app.stop()).toEqual(CLEAN);
    expect(performance.now() - asked).toBeLessThan(15_000);

    const [run] = await flowRuns();
    expect((await stateNames(database, run!.id)).at(-1)).toBe('AwaitingResume');
    expect(app.stdout).toContain('1 runs did not end within 1 ms and are handed back');

    const again = scene.start({ env });
    await again.ready();
    await waitFor(async () => (await flowRuns())[0]!.state_type === 'COMPLETED', PATIENCE_MS);
    expect(await again.stop()).toEqual(CLEAN);
    expect(await flowRuns()).toHaveLength(1);
    expect((await stateNames(database, run!.id)).slice(-3)).toEqual(['AwaitingResume', 'Running', 'Completed']);
    expect(await unfinishedTasks()).toEqual([]);
    expect(await illegalHistories(database)).toEqual([]);
  });
});
