import { instantOfMs } from '@nestor/core';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Deployments, Flow, type ScheduleOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { DeploymentSchedulesRepository } from '../../../libs/orchestrator/src/records/deployments/deployment-schedules.repository.js';
import { DeploymentsRepository } from '../../../libs/orchestrator/src/records/deployments/deployments.repository.js';
import { Backfills } from '../../../libs/orchestrator/src/runtime/deployments/backfills.service.js';
import { DeployedRuns } from '../../../libs/orchestrator/src/runtime/deployments/deployed-runs.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf } from './support/deployed.js';

const DAY = 86_400_000;

@Injectable()
class Reports {
  running = 0;
  most = 0;
  gate: Gate | null = null;

  @Flow({ name: 'report' })
  async write(_of: { region?: string } = {}): Promise<void> {
    this.running += 1;
    this.most = Math.max(this.most, this.running);
    await this.gate?.pass();
    this.running -= 1;
  }
}

describe('a range of the past that is filled in', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let deployments: Deployments;
  const to = new Date(Math.floor(Date.now() / DAY) * DAY);
  const from = new Date(to.getTime() - 10 * DAY);
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Reports] });
    deployments = app.get(Deployments);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  let names = 0;
  const made = async (...schedules: ScheduleOptions[]): Promise<string> => {
    const saved = await deployments.save(Reports, 'write', { name: `d${(names += 1)}`, schedules });
    return saved.id;
  };
  const completed = async (id: string) => (await runsOf(database, id)).filter((run) => run.state_type === 'COMPLETED');

  it('has a run of each of its times, each once, tagged and expected at its time [S11]', async () => {
    const id = await made({ cron: '0 2 * * *' });
    const filled = await deployments.backfill(id, { from, to });
    expect(filled).toHaveLength(10);
    expect(filled.every(({ isNew }) => isNew)).toBe(true);
    const again = await deployments.backfill(id, { from: from.toISOString(), to });
    expect(again).toEqual(filled.map((one) => ({ ...one, isNew: false })));
    const runs = await waitFor(async () => {
      const ended = await completed(id);
      return ended.length === 10 ? ended : null;
    });
    for (const [index, run] of runs.entries()) {
      expect(run.tags).toEqual(['backfill']);
      expect(run.auto_scheduled).toBe(false);
      expect(run.expected_start_time.getTime()).toBe(from.getTime() + index * DAY + DAY / 12);
    }
  });

  it('is made only where there is nothing yet, also by the scheduler [S11]', async () => {
    const id = await made({ cron: '0 2 * * *' });
    const scheduled = await waitFor(async () => {
      const runs = await runsOf(database, id);
      return runs.length === 3 ? runs : null;
    });
    const ahead = { from: new Date(), to: new Date(scheduled[2]!.expected_start_time.getTime() + 1) };
    const filled = await deployments.backfill(id, ahead);
    expect(filled.map(({ flowRunId, isNew }) => [flowRunId, isNew])).toEqual(scheduled.map((run) => [run.id, false]));
    expect(await runsOf(database, id)).toHaveLength(3);
  });

  it('is shown before it is made [S11]', async () => {
    const id = await made({ cron: '0 2 * * *', slug: 'two' }, { cron: '0 3 * * *', slug: 'three' });
    const [two] = (await deployments.get(id)).schedules;
    await deployments.backfill(id, { from, to: new Date(from.getTime() + DAY), schedule: 'two' });
    const preview = await deployments.backfill(id, { from, to: new Date(from.getTime() + 2 * DAY), preview: true });
    expect(preview.map(({ scheduleId, isNew }) => [scheduleId === two!.id, isNew])).toEqual([
      [true, false],
      [true, true],
      [false, true],
      [false, true],
    ]);
    expect((await runsOf(database, id)).filter((run) => run.tags.includes('backfill'))).toHaveLength(1);
  });

  it('has its runs go on one after the other where the schedule lets no two do so', async () => {
    const reports = app.get(Reports);
    const id = await made({ cron: '0 2 * * *', overlap: 'skip' });
    reports.most = 0;
    await deployments.backfill(id, { from: new Date(to.getTime() - 4 * DAY), to });
    await waitFor(async () => (await completed(id)).length === 4, 20_000);
    expect(reports.most).toBe(1);
  });

  it.each([
    ['', undefined],
    [', each in its line', { key: 'region' } as const],
  ])('has its runs go on when the schedule is put aside for another one%s', async (_, fairness) => {
    const reports = app.get(Reports);
    const gate = (reports.gate = new Gate());
    const save = (cron: string) =>
      deployments.save(Reports, 'write', {
        name: `d${names}`,
        parameters: { region: 'north' },
        schedules: [{ cron, overlap: 'skip' }],
        ...(fairness && { fairness }),
      });
    names += 1;
    const { id } = await save('0 2 * * *');
    await deployments.backfill(id, { from: new Date(to.getTime() - 4 * DAY), to });
    await gate.reached;
    await save('0 3 * * *');
    gate.open();
    await waitFor(async () => (await completed(id)).length === 4, 15_000);
    reports.gate = null;
  });

  it('has its runs go on when the schedule is put aside at the same moment', async () => {
    const id = await made({ cron: '0 2 * * *', overlap: 'buffer_all' });
    const deployment = await app.get(DeploymentsRepository).find(id);
    const schedules = await app.get(DeploymentSchedulesRepository).of([id]);
    const backfills = app.get(Backfills);
    const range = { from: instantOfMs(to.getTime() - 2 * DAY), to: instantOfMs(to.getTime()) };
    const times = backfills.timesOf(schedules, range, id);
    const template = await app.get(DeployedRuns).templateOf(deployment!, 'report');
    await deployments.save(Reports, 'write', { name: `d${names}`, schedules: [] });
    await backfills.make(template, times, false);
    await waitFor(async () => (await completed(id)).length === 2, 15_000);
  });

  it('is none without an end after its beginning, or with more times than one makes at once', async () => {
    const id = await made({ interval: 1_000 });
    await deployments.pause(id);
    await expect(deployments.backfill(id, { from: to, to: from })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    await expect(deployments.backfill(id, { from: 'once', to })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    await expect(deployments.backfill(id, { from, to })).rejects.toMatchObject({ code: 'TOO_MANY_RUNS' });
    await expect(deployments.backfill(id, { from, to, schedule: 'x' })).rejects.toMatchObject({
      code: 'SCHEDULE_NOT_FOUND',
    });
  });
});
