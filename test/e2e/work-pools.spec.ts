import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlowRuns, Flows, WorkPools } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { DependencyAudit } from '../../src/examples/dependency-audit/dependency-audit.flow.js';
import { DependencyAuditModule } from '../../src/examples/dependency-audit/dependency-audit.module.js';
import { startApp } from '../support/app.js';
import { testDatabase } from '../support/database.js';
import { illegalHistories } from '../support/history.js';
import { sql } from '../support/sql.js';
import { waitFor } from '../support/wait-for.js';
import { PATIENCE_MS } from './support/app-process.js';
import { Scene } from './support/scene.js';

jest.setTimeout(2 * PATIENCE_MS);

const EMPTY_LOCK_FILE = { name: 'empty', lockfileVersion: 3, packages: { '': { name: 'empty' } } };

describe('the bundled orchestrator with work pools', () => {
  let database: TestDatabase;
  const scene = new Scene();
  beforeAll(async () => void (database = await testDatabase()));
  afterEach(() => scene.end());
  afterAll(() => database.drop());

  it('makes the pools that it is told to serve, and executes their runs as their type says', async () => {
    const directory = scene.directory();
    writeFileSync(join(directory, 'lock.json'), JSON.stringify(EMPTY_LOCK_FILE));
    const env = { DATABASE_URL: database.url, NESTOR_HOME: directory, NESTOR_WORK_POOLS: 'near,apart:nest-process:1' };
    const orchestrator = scene.start({ cwd: directory, env: { ...env, NESTOR_UNQUEUED: 'false' } });
    await orchestrator.ready();
    const client = await startApp({
      ...{ url: database.url, app: 'default', worker: false, backgroundTasks: false },
      imports: [DependencyAuditModule],
    });
    try {
      const pools = await waitFor(async () => {
        const found = await Promise.all(['near', 'apart'].map((name) => client.get(WorkPools).find(name)));
        return found.every((pool) => pool?.status === 'READY') ? found : null;
      });
      expect(pools.map((pool) => pool?.type)).toEqual(['nest', 'nest-process']);
      for (const workPool of ['near', 'apart']) {
        const parameters = { lockFile: join(directory, 'lock.json'), reportFile: join(directory, `${workPool}.md`) };
        const flows = client.get(Flows).with({ workPool });
        const { id } = await flows.enqueue(DependencyAudit, 'audit', parameters);
        await client.get(FlowRuns).result(id, { timeout: PATIENCE_MS });
        const [row] = await sql<{ place: string | null }>(
          database,
          'select infrastructure_pid as place from nestor.flow_run where id = $1',
          [id],
        );
        if (workPool === 'near') expect(row!.place).toBeNull();
        else expect(row!.place).toMatch(/^[^:]+:\d+$/);
      }
      expect(await illegalHistories(database)).toEqual([]);
    } finally {
      await client.close();
    }
    expect(await orchestrator.stop()).toEqual({ code: 0, signal: null });
  });

  it.each([
    ['--run-once', { args: ['--run-once'], env: {} }],
    ['NESTOR_RUN_ONCE', { args: [], env: { NESTOR_RUN_ONCE: 'true' } }],
  ])('looks for runs once with %s, executes those that it got, and ends by itself [W08]', async (_, { args, env }) => {
    const directory = scene.directory();
    writeFileSync(join(directory, 'lock.json'), JSON.stringify(EMPTY_LOCK_FILE));
    const workPool = `once${args.length}`;
    const client = await startApp({
      ...{ url: database.url, app: 'default', worker: false, backgroundTasks: false, services: false },
      imports: [DependencyAuditModule],
    });
    try {
      await client.get(WorkPools).create(workPool);
      const reportFile = join(directory, 'report.md');
      const parameters = { lockFile: join(directory, 'lock.json'), reportFile };
      const flows = client.get(Flows).with({ workPool });
      const [due, other] = [
        await flows.enqueue(DependencyAudit, 'audit', parameters),
        await flows.enqueue(DependencyAudit, 'audit', parameters),
      ];
      const worker = scene.start({
        cwd: directory,
        args,
        env: {
          ...{ DATABASE_URL: database.url, NESTOR_HOME: directory, NESTOR_SERVICES: 'none', ...env },
          ...{ NESTOR_WORK_POOLS: workPool, NESTOR_UNQUEUED: 'false', NESTOR_WORKER_LIMIT: '1' },
        },
      });
      expect(await worker.exit).toEqual({ code: 0, signal: null });
      expect(worker.errors).toBe('');
      expect(worker.stdout).toContain('Looked once: 1 run was taken');
      const flowRuns = client.get(FlowRuns);
      expect(await flowRuns.get(due.id)).toMatchObject({ stateName: 'Completed' });
      expect(await flowRuns.get(other.id)).toMatchObject({ stateName: 'Scheduled' });
      expect(await client.get(WorkPools).workers(workPool)).toMatchObject([{ status: 'OFFLINE' }]);
      expect(await illegalHistories(database)).toEqual([]);
    } finally {
      await client.close();
    }
  });
});
