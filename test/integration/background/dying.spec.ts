import type { INestApplicationContext } from '@nestjs/common';
import { BackgroundTasks } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp, type TestAppOptions } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { CompiledProgram } from '../../support/compiled-program.js';
import { MortalProcess } from '../replay/support/mortal-process.js';
import { Chores, MARKS_URL } from './support/chores.js';
import type { ServingOrder } from './support/serving-program.js';

const TASKS = 60;
const CONCURRENCY = 5;

describe('a process that is killed while it serves background tasks', () => {
  let database: TestDatabase;
  let program: CompiledProgram;

  beforeAll(async () => {
    program = new CompiledProgram('test/integration/background/support/serving-program.ts');
    database = await testDatabase();
    // Nobody counts as dead within one lease of a start of the server, and it may have been started for this file.
    const settledDown = `select clock_timestamp() - pg_postmaster_start_time() > interval '10.1 seconds' as yes`;
    await waitFor(async () => (await sql<{ yes: boolean }>(database, settledDown))[0]!.yes, 15_000);
    await sql(database, 'create table mark (name text not null, pid integer not null)');
  });
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
    program.remove();
  });

  const start = (options: Partial<TestAppOptions> = {}): Promise<INestApplicationContext> =>
    startApp({
      ...{ url: database.url, app: 'chores', drain: '10ms' },
      providers: [Chores, { provide: MARKS_URL, useValue: database.url }],
      ...options,
    });

  it('loses none of them, and executes again only what it was at [H12]', async () => {
    const client = await start({ backgroundTasks: false });
    let peer: INestApplicationContext | undefined;
    const order = { url: database.url, app: 'chores', concurrency: CONCURRENCY, stuckAfter: 20 };
    const mortal = MortalProcess.start<ServingOrder>(program, order);
    try {
      const tasks = client.get(BackgroundTasks);
      const runs = await Promise.all(Array.from({ length: TASKS }, (_, number) => tasks.delay(Chores, 'work', number)));
      await mortal.waiting();
      await mortal.kill();
      peer = await start();
      const pids = await Promise.all(runs.map((run) => run.result({ timeout: '30s' })));

      expect(new Set(pids)).toEqual(new Set([mortal.pid, process.pid]));
      const marks = await sql<{ name: string; times: number }>(
        database,
        'select name, count(*)::integer as times from mark group by name',
      );
      expect(marks).toHaveLength(TASKS);
      const repeated = marks.filter(({ times }) => times > 1);
      expect(repeated.length).toBeLessThanOrEqual(CONCURRENCY);
      expect(repeated.every(({ times }) => times === 2)).toBe(true);
      expect(await tasks.counts()).toEqual([]);
      const [counts] = await sql(
        database,
        `select count(*)::integer as runs, max(run_count) as attempts from nestor.task_run where state_type = 'COMPLETED'`,
      );
      expect(counts).toEqual({ runs: TASKS, attempts: 1 });
    } finally {
      await mortal.kill();
      await Promise.all([client.close(), peer?.close()]);
    }
  });
});
