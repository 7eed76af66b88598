import type { INestApplicationContext } from '@nestjs/common';
import { FlowRuns } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { bestOf } from '../../support/best-of.js';
import { CompiledProgram } from '../../support/compiled-program.js';
import { testDatabase } from '../../support/database.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { DyingFlows } from './support/dying-flows.js';
import type { Order } from './support/dying-program.js';
import { MortalProcess } from './support/mortal-process.js';

/** From a missed heartbeat to a new owner: three seconds are promised, and this machine may be busy. */
const TAKEN_OVER_WITHIN_MS = 6_000;

describe('a process that is killed', () => {
  let database: TestDatabase;
  let program: CompiledProgram;
  const started: MortalProcess[] = [];

  beforeAll(async () => {
    program = new CompiledProgram('test/integration/replay/support/dying-program.ts');
    database = await testDatabase();
    // Nobody counts as dead within one lease of a start of the server, and it may have been started for this file.
    const settledDown = `select clock_timestamp() - pg_postmaster_start_time() > interval '10.1 seconds' as yes`;
    await waitFor(async () => (await sql<{ yes: boolean }>(database, settledDown))[0]!.yes, 15_000);
    await sql(database, 'create table mark (name text not null, pid integer not null, at timestamptz default now())');
  });
  afterEach(() => Promise.all(started.splice(0).map((process) => process.kill())));
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
    program.remove();
  });

  const startProcess = (app: string, start: Order['start'] = null): MortalProcess => {
    const process = MortalProcess.start(program, { url: database.url, app, maxRecoveries: 1, start });
    started.push(process);
    return process;
  };
  /** A peer within this very process, which survives. */
  const startPeer = async (app: string): Promise<INestApplicationContext> => {
    const flows = Object.assign(new DyingFlows(database.url), { end: () => undefined });
    return startApp({
      url: database.url,
      app,
      maxRecoveries: 1,
      drain: '10ms',
      providers: [{ provide: DyingFlows, useFactory: () => flows }],
    });
  };
  const marks = (): Promise<{ name: string; pid: number }[]> => sql(database, 'select name, pid from mark order by at');
  beforeEach(() => sql(database, 'truncate mark'));

  it('has its run go on in a peer within seconds, which executes nothing again that was recorded [F18] [F28] [T26]', async () => {
    const peer = await startPeer('peers');
    const takenOverAfter = async (): Promise<number> => {
      await sql(database, 'truncate mark');
      const mortal = startProcess('peers', 'interrupted');
      const id = await mortal.began();
      await mortal.waiting();
      const itsLock = 'select from nestor.process where pid = $1 and holds_lock';
      await waitFor(async () => (await sql(database, itsLock, [mortal.pid])).length > 0);
      const killedAt = performance.now();
      await mortal.kill();

      expect(await peer.get(FlowRuns).result(id, { timeout: '15s' })).toEqual([mortal.pid, mortal.pid, process.pid]);
      const ms = performance.now() - killedAt;
      expect(await marks()).toEqual([
        { name: 'one', pid: mortal.pid },
        { name: 'two', pid: mortal.pid },
        { name: 'three', pid: process.pid },
      ]);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingResume', 'Running', 'Completed']);
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1, empirical_policy: { recoveries: 1 } });
      return ms;
    };
    try {
      expect(await bestOf(TAKEN_OVER_WITHIN_MS, takenOverAfter)).toBeLessThan(TAKEN_OVER_WITHIN_MS);
    } finally {
      await peer.close();
    }
  });

  it('leaves the lines behind that its run had logged a second before [H15]', async () => {
    let apps = 0; // of one's own, so that none takes a run over from the one before
    const keptAfter = async (): Promise<number> => {
      const mortal = startProcess(`loggers-${(apps += 1)}`, 'interrupted');
      const id = await mortal.began();
      await mortal.waiting();
      const since = performance.now();
      const lines = () => sql(database, 'select message from nestor.log where flow_run_id = $1', [id]);
      await waitFor(async () => (await lines()).length > 0);
      const ms = performance.now() - since;
      await mortal.kill();
      expect(await lines()).toEqual([{ message: `two marks by ${mortal.pid}` }]);
      return ms;
    };
    expect(await bestOf(1_000, keptAfter)).toBeLessThan(1_000);
  });

  it('by its own run is followed by others, until the run is given up as CRASHED [F18] [T27]', async () => {
    const first = startProcess('victims', 'deadly');
    const id = await first.began();
    expect(await first.exited).toEqual([null, 'SIGKILL']);
    const second = startProcess('victims'); // takes over and dies of it: one recovery is allowed
    expect(await second.exited).toEqual([null, 'SIGKILL']);

    const peer = await startPeer('victims');
    try {
      await expect(peer.get(FlowRuns).result(id, { timeout: '15s' })).rejects.toMatchObject({ code: 'RUN_CRASHED' });
      const { states } = await peer.get(FlowRuns).get(id);
      expect(states.map(({ name }) => name)).toEqual(['Pending', 'Running', 'AwaitingResume', 'Running', 'Crashed']);
      expect(states.at(-1)!.message).toMatch(/^TOO_MANY_RECOVERIES: 2 processes died/);
      expect(await flowRunOf(database, id)).toMatchObject({
        run_count: 1,
        process_id: null,
        empirical_policy: { recoveries: 2 },
      });
      // It was killed within the very turn in which it began the second task: of that nothing need be known.
      const [mark, ...left] = await taskRunsOf(database, id);
      expect(mark).toMatchObject({ task_key: 'DyingFlows.mark', state_type: 'COMPLETED', result: first.pid });
      expect(left.filter(({ state_type }) => state_type !== 'CANCELLED')).toEqual([]);
      expect(await marks()).toEqual([{ name: 'before', pid: first.pid }]);
    } finally {
      await peer.close();
    }
  });

  it('between the end of its run and the hooks of that has them called by the next process, once [F11]', async () => {
    const first = startProcess('hooked', 'hooked');
    await first.exited;
    expect(await marks()).toEqual([]);
    expect(await sql(database, 'select arguments from nestor.owed_hooks')).toHaveLength(1);
    const peer = await startPeer('hooked');
    try {
      await waitFor(async () => (await sql(database, 'select from nestor.owed_hooks')).length === 0, 15_000);
      expect(await marks()).toEqual([{ name: 'told told', pid: process.pid }]);
    } finally {
      await peer.close();
    }
  });
});
