import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Deployments, Flow, FlowRuns, RunControl, WorkPools, type ScheduleOverlap } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { makeDue, waitingRunsOf } from './support/deployed.js';

@Injectable()
class Reports {
  readonly gates: Gate[] = [];
  running = 0;
  most = 0;

  @Flow({ name: 'report' })
  async write(): Promise<void> {
    const gate = new Gate();
    this.gates.push(gate);
    this.running += 1;
    this.most = Math.max(this.most, this.running);
    await gate.pass();
    this.running -= 1;
  }
}

describe('runs of a schedule that are due while another one goes on', () => {
  let database: TestDatabase;
  let apps: INestApplicationContext[];
  let deployments: Deployments;
  beforeAll(async () => {
    database = await testDatabase();
    apps = await Promise.all(
      ['reports', 'reports'].map((app) => startApp({ url: database.url, providers: [Reports], app })),
    );
    deployments = apps[0]!.get(Deployments);
  });
  afterAll(async () => {
    for (const gate of gates()) gate.open();
    await Promise.all(apps.map((app) => app.close()));
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const gates = (): Gate[] => apps.flatMap((app) => app.get(Reports).gates);
  const running = (): number => apps.reduce((sum, app) => sum + app.get(Reports).running, 0);

  let names = 0;
  /** A deployment of which three runs wait for days to come, under a schedule that says so. */
  const made = async (
    overlap: ScheduleOverlap,
    workPool?: string,
  ): Promise<{ id: string; runs: [string, string, string] }> => {
    for (const gate of gates()) gate.open();
    await waitFor(() => running() === 0);
    for (const app of apps) Object.assign(app.get(Reports), { most: 0 });
    const schedules = [{ cron: '0 2 * * *', overlap }];
    const pooled = workPool === undefined ? {} : { workPool };
    const { id } = await deployments.save(Reports, 'write', { name: `d${(names += 1)}`, schedules, ...pooled });
    const runs = await waitFor(async () => {
      const waiting = await waitingRunsOf(database, id);
      return waiting.length === 3 ? waiting : null;
    });
    return { id, runs: runs.map((run) => run.id) as [string, string, string] };
  };
  /** Lets the time of a run have come. */
  const comesDue = async (...ids: string[]): Promise<void> => {
    await makeDue(database, ids);
    await sql(
      database,
      `update nestor.deployment_schedule set turn_at = now()
        where id = (select schedule_id from nestor.flow_run where id = $1) and overlap <> 'allow'`,
      [ids[0]],
    );
    await sql(database, `select pg_notify('nestor_nestor', 'schedules due')`);
  };
  const stateOf = async (id: string) => (await apps[0]!.get(FlowRuns).get(id)).stateName;
  const becomes = (id: string, state: string) =>
    waitFor(async () => ((await stateOf(id)) === state ? true : null), 15_000);

  it('go on beside it: allow', async () => {
    const { runs } = await made('allow');
    await comesDue(...runs.slice(0, 2));
    await waitFor(() => running() === 2);
  });

  it('have their turn as well when the one that has it is deleted before it begins [D12]', async () => {
    const { runs } = await made('skip');
    const flowRuns = apps[0]!.get(FlowRuns);
    await flowRuns.delete(runs[0]);
    await comesDue(runs[1]);
    await becomes(runs[1], 'Running');
    await expect(flowRuns.delete(runs[1])).rejects.toMatchObject({ code: 'FLOW_RUN_ACTIVE' });
    for (const gate of gates()) gate.open();
    await becomes(runs[1], 'Completed');
    expect(await flowRuns.deleteMany(runs)).toEqual({ deleted: [runs[1], runs[2]], refused: [] });
  });

  it('are skipped, and say on whose account: skip', async () => {
    const { id, runs } = await made('skip');
    await comesDue(runs[0]);
    await becomes(runs[0], 'Running');
    await comesDue(runs[1]);
    await becomes(runs[1], 'Skipped');
    const { name } = await apps[0]!.get(FlowRuns).get(runs[0]);
    const { states } = await apps[0]!.get(FlowRuns).get(runs[1]);
    expect(states.at(-1)).toMatchObject({ type: 'CANCELLED', message: expect.stringContaining(name) as string });
    for (const gate of gates()) gate.open();
    await becomes(runs[0], 'Completed');
    await comesDue(runs[2]);
    await becomes(runs[2], 'Running');
    expect(running()).toBe(1);
    await deployments.delete(id);
  });

  it('take no room in their pool when they are skipped', async () => {
    await apps[0]!.get(WorkPools).create('tight', { concurrencyLimit: 2 });
    const worker = { pools: ['tight'], unqueued: false };
    apps.push(await startApp({ url: database.url, providers: [Reports], app: 'reports', worker }));
    const { id, runs } = await made('skip', 'tight');
    await comesDue(runs[0]);
    await becomes(runs[0], 'Running');
    await comesDue(runs[1], runs[2]);
    await becomes(runs[1], 'Skipped');
    await becomes(runs[2], 'Skipped');
    const asked = await deployments.run(id);
    await becomes(asked.id, 'Running');
    expect(running()).toBe(2);
    await deployments.delete(id);
  });

  it('go on at once when somebody retries them, and count as one that goes on', async () => {
    const { id, runs } = await made('skip');
    await comesDue(runs[0]);
    await becomes(runs[0], 'Running');
    await comesDue(runs[1]);
    await becomes(runs[1], 'Skipped');
    await apps[1]!.get(RunControl).retry(runs[1]);
    await becomes(runs[1], 'Running');
    expect(running()).toBe(2);
    await comesDue(runs[2]);
    await becomes(runs[2], 'Skipped');
    await deployments.delete(id);
  });

  it('wait for its end, and one does: buffer_one', async () => {
    const { runs } = await made('buffer_one');
    await comesDue(runs[0]);
    await becomes(runs[0], 'Running');
    await comesDue(runs[1], runs[2]);
    await becomes(runs[2], 'Skipped');
    expect(await stateOf(runs[1])).toBe('Scheduled');
    expect(running()).toBe(1);
    for (const gate of gates()) gate.open();
    await becomes(runs[1], 'Running');
  });

  it('wait for its end, and all do: buffer_all', async () => {
    const { runs } = await made('buffer_all');
    await comesDue(...runs);
    await becomes(runs[0], 'Running');
    for (const next of runs.slice(1)) {
      expect(await stateOf(next)).toBe('Scheduled');
      for (const gate of gates()) gate.open();
      await becomes(next, 'Running');
      expect(running()).toBe(1);
    }
    expect(Math.max(...apps.map((app) => app.get(Reports).most))).toBe(1);
  });

  it('take its place: cancel_other', async () => {
    const { runs } = await made('cancel_other');
    await comesDue(runs[0]);
    await becomes(runs[0], 'Running');
    await comesDue(runs[1], runs[2]);
    await becomes(runs[0], 'Cancelling');
    await becomes(runs[1], 'Skipped');
    for (const gate of gates()) gate.open();
    await becomes(runs[0], 'Cancelled');
    await becomes(runs[2], 'Running');
  });
});
