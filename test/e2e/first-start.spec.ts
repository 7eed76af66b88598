import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../support/wait-for.js';
import { ask, everyPage } from './support/api.js';
import { PATIENCE_MS, type AppProcess } from './support/app-process.js';
import { isAlive, postmasterPid, Scene } from './support/scene.js';

jest.setTimeout(2 * PATIENCE_MS);

describe('the bundled orchestrator, started for the first time in the directory of a project', () => {
  const scene = new Scene();
  let home: string;
  let app: AppProcess;
  let url: string;
  let run: any;
  beforeAll(async () => {
    home = scene.directory();
    app = scene.start({ env: { NESTOR_HOME: home } });
    url = await app.ready();
    const [{ id }] = (await ask(`${url}/api/flow_runs`)).body.items;
    run = await waitFor(async () => {
      const { body } = await ask(`${url}/api/flow_runs/${id}`);
      return body.end_time !== null && body;
    }, PATIENCE_MS);
  });
  afterAll(() => scene.end());

  it('is healthy and ready', async () => {
    expect(await ask(`${url}/api/health`)).toMatchObject({ status: 200, body: true });
    expect(await ask(`${url}/api/ready`)).toMatchObject({ status: 200, body: { message: 'OK' } });
  });

  it('has audited the packages of the project as its first flow run', async () => {
    const { items } = (await ask(`${url}/api/flow_runs`)).body;
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      id: run.id,
      flow_name: 'dependency-audit',
      state_type: 'COMPLETED',
      state_name: 'Completed',
      run_count: 1,
    });
    expect(run.parameters).toEqual({
      lockFile: 'package-lock.json',
      reportFile: join(home, 'dependency-audit.md'),
    });
  });

  it('keeps the history of the run, in order', () => {
    expect(run.states.map((state: any) => state.type)).toEqual(['PENDING', 'RUNNING', 'COMPLETED']);
    const times = run.states.map((state: any) => state.timestamp);
    expect(times).toEqual([...times].sort());
    expect(new Set(times).size).toBe(3);
    for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(times[1]).toBe(run.start_time);
    expect(times[2]).toBe(run.end_time);
    expect(run.total_run_time).toBeGreaterThan(0);
  });

  it('keeps a task run for every package, one page after another in the order in which they were called', async () => {
    const { items, pages } = await everyPage(`${url}/api/flow_runs/${run.id}/task_runs?limit=200`);

    expect(items.length).toBeGreaterThan(500);
    expect(pages).toBe(Math.floor(items.length / 200) + 1);
    const ids = items.map((task) => task.id);
    expect(ids).toEqual([...new Set(ids)].sort());
    expect(items.filter((task) => task.state_type !== 'COMPLETED' || task.flow_run_id !== run.id)).toEqual([]);
    expect(items[0].task_key).toBe('DependencyAudit.readLockFile');
    expect(items.at(-1).task_key).toBe('DependencyAudit.writeReport');
    expect(items.filter((task) => task.task_key === 'DependencyAudit.inspect')).toHaveLength(items.length - 3);
  });

  it('has written a report that names the totals', async () => {
    const report = readFileSync(join(home, 'dependency-audit.md'), 'utf8');
    const { items } = await everyPage(`${url}/api/flow_runs/${run.id}/task_runs?limit=200`);
    expect(report).toMatch(/^# Dependency audit\n/);
    expect(report).toContain(`${items.length - 3} packages are installed`);
  });

  it('says what it did, and nothing about how it is put together', async () => {
    await app.line(/The first flow is COMPLETED; its report is in .*dependency-audit\.md$/);
    const said = app.lines.map((line) => line.replace(/^\[Nestor\] \d+ {2}- .*? LOG /, ''));
    expect(said).toEqual([
      expect.stringMatching(/^\[Database\] creating a PostgreSQL 18 cluster in /),
      expect.stringMatching(/^\[Database\] started the server /),
      expect.stringMatching(/^\[Nestor\] Ready in \d+ ms: http:\/\/127\.0\.0\.1:\d+\/api\/flow_runs lists the runs\./),
      expect.stringContaining(`[Nestor] A first flow is running: ${url}/api/flow_runs/${run.id}`),
      expect.stringMatching(/^\[Run\] .* packages are installed according to package-lock\.json\./),
      expect.stringMatching(/^\[Run\] .* findings; the report is in /),
      expect.stringMatching(/^\[Nestor\] The first flow is COMPLETED; its report is in /),
    ]);
    expect(app.errors).toBe('');
  });

  it('ends in order when told to, and takes its database server along', async () => {
    const postmaster = postmasterPid(home)!;
    expect(isAlive(postmaster)).toBe(true);
    expect(await app.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(isAlive(postmaster)).toBe(false);
    expect(existsSync(join(home, 'postgres/data/postmaster.pid'))).toBe(false);
  });

  it('knows the run when it is started again, and audits no second time', async () => {
    const again = scene.start({ env: { NESTOR_HOME: home } });
    const { items } = (await ask(`${await again.ready()}/api/flow_runs`)).body;
    expect(items.map((item: any) => [item.id, item.state_type])).toEqual([[run.id, 'COMPLETED']]);
    expect(again.stdout).not.toContain('A first flow is running');
    expect(await again.stop()).toEqual({ code: 0, signal: null });
  });
});

it('starts without an audit where there is nothing to audit', async () => {
  const scene = new Scene();
  try {
    const app = scene.start({ cwd: scene.directory(), env: {} });
    expect(await ask(`${await app.ready()}/api/flow_runs`)).toMatchObject({ body: { items: [], next: null } });
    expect(app.stdout).not.toContain('A first flow is running');
  } finally {
    await scene.end();
  }
});
