import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, Deployments, Flow, FlowRuns, type DeploymentOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { bestOf } from '../../support/best-of.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories } from '../../support/history.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf, waitingRunsOf } from './support/deployed.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

@Injectable()
class Reports {
  readonly written: unknown[] = [];

  @Flow({ name: 'report', tags: ['report'] })
  async write(parameters: { of?: string; pages?: number }): Promise<string> {
    this.written.push(parameters);
    return currentRun().flowRunName ?? '';
  }
}

describe('schedules', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let other: INestApplicationContext;
  let deployments: Deployments;
  const logger = new RecordingLogger();

  beforeAll(async () => {
    database = await testDatabase();
    [app, other] = await Promise.all([
      startApp({ url: database.url, providers: [Reports], app: 'reports', logger }),
      startApp({ url: database.url, providers: [Reports], app: 'reports' }),
    ]);
    deployments = app.get(Deployments);
  });
  afterAll(async () => {
    await Promise.all([app.close(), other.close()]);
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  let names = 0;
  const made = async (options: Omit<DeploymentOptions, 'name'>) => {
    const name = `d${(names += 1)}`;
    const { id } = await deployments.save(Reports, 'write', { ...options, name });
    return { id, name: `report/${name}` };
  };
  /** The runs that wait, once there are any. */
  const filled = (id: string) =>
    waitFor(async () => {
      const runs = await waitingRunsOf(database, id);
      return runs.length > 0 ? runs : null;
    });
  const timesOf = (runs: readonly { expected_start_time: Date }[]) =>
    runs.map((run) => run.expected_start_time.toISOString().slice(0, 16));

  it('have at least three runs and an hour ahead of them, and a hundred at most [S04]', async () => {
    const rare = await made({ schedules: [{ cron: '0 2 * * *' }] });
    const frequent = await made({ schedules: [{ cron: '* * * * *' }] });
    const hectic = await made({ schedules: [{ interval: 1_000 }] });
    expect(await filled(rare.id)).toHaveLength(3);
    const minutes = await filled(frequent.id);
    expect(minutes.length).toBeGreaterThanOrEqual(60);
    expect(minutes.at(-1)!.expected_start_time.getTime()).toBeGreaterThan(Date.now() + HOUR - MINUTE);
    const seconds = await waitFor(async () => {
      const runs = (await runsOf(database, hectic.id)).filter((run) => run.expected_start_time.getTime() > Date.now());
      return runs.length > 45 ? runs : null;
    });
    expect(seconds.length).toBeLessThanOrEqual(100);
    await deployments.pause(hectic.name);
  });

  it('have runs of the present horizon, not of a time beyond', async () => {
    const { id } = await made({ schedules: [{ cron: '0 0 1 1 *' }] });
    const inDays = (Date.UTC(new Date().getUTCFullYear() + 1, 0, 1) - Date.now()) / (24 * HOUR);
    if (inDays < 99) expect(await filled(id)).toHaveLength(1);
    else expect(await runsOf(database, id)).toEqual([]);
  });

  it('do not make the run of a time again that somebody has deleted, also when they are changed [D12] [S05]', async () => {
    const { id, name } = await made({ schedules: [{ cron: '0 2 * * *', slug: 'nightly' }] });
    const [first, second, third] = await filled(id);
    await app.get(FlowRuns).delete(second!.id);
    const anew = async (): Promise<void> => {
      await sql(
        database,
        `update nestor.deployment_schedule set filled_until = now(), fill_at = now() where deployment_id = $1`,
        [id],
      );
      await deployments.pause(name);
      expect(await waitingRunsOf(database, id)).toEqual([]);
      await deployments.resume(name);
    };
    const others = timesOf([first!, third!]);
    for (let round = 0; round < 2; round += 1) {
      await anew();
      const times = await waitFor(async () => {
        const made = timesOf(await waitingRunsOf(database, id));
        return made.length >= 2 ? made : null;
      });
      expect(times).toEqual(expect.arrayContaining(others));
      expect(times).not.toContain(timesOf([second!])[0]);
    }
  });

  it('make one run of each time, whoever makes them and however often [S05]', async () => {
    const { id, name } = await made({ schedules: [{ cron: '*/10 * * * *', slug: 'ten' }] });
    const times = timesOf(await filled(id));
    for (let round = 0; round < 5; round += 1) {
      await sql(
        database,
        `update nestor.deployment_schedule set filled_until = now(), fill_at = now() where deployment_id = $1`,
        [id],
      );
      await Promise.all(
        [app, other].map((one) =>
          one.get(Deployments).schedule(name, {
            from: new Date(),
            to: new Date(Date.now() + HOUR),
          }),
        ),
      );
    }
    await waitFor(async () => {
      const [row] = await sql<{ due: boolean }>(
        database,
        'select fill_at <= now() as due from nestor.deployment_schedule where deployment_id = $1',
        [id],
      );
      return row?.due === false;
    });
    const after = timesOf(await waitingRunsOf(database, id));
    expect(new Set(after).size).toBe(after.length);
    expect(after.slice(0, times.length)).toEqual(times);
  });

  it('have runs within five seconds of when they were made, by whichever process [S06]', async () => {
    const filledAfter = async (): Promise<number> => {
      const begin = performance.now();
      const { id } = await made({ schedules: [{ cron: '0 2 * * *' }] });
      await filled(id);
      return performance.now() - begin;
    };
    expect(await bestOf(5_000, filledAfter)).toBeLessThan(5_000);
  });

  it('are run when their time has come, and know which time that is [F21]', async () => {
    const { id, name } = await made({ parameters: { of: 'seconds' }, schedules: [{ interval: 1_000 }] });
    const run = await waitFor(async () => (await runsOf(database, id)).find((one) => one.state_type === 'COMPLETED'));
    await deployments.pause(name);
    const { startTime, states } = await app.get(FlowRuns).get(run.id);
    expect(startTime! / 1_000).toBeGreaterThanOrEqual(run.expected_start_time.getTime());
    expect(startTime! / 1_000).toBeLessThan(run.expected_start_time.getTime() + 5_000);
    expect(states.map((state) => state.name)).toEqual(['Scheduled', 'Pending', 'Running', 'Completed']);
  });

  it('that are changed take back what is not due, and leave alone what somebody asked for [S07]', async () => {
    const { id, name } = await made({ schedules: [{ cron: '0 2 * * *', slug: 'nightly' }] });
    const before = await filled(id);
    const manual = await deployments.run(name, { in: '1d' });
    const shortName = name.slice('report/'.length);
    await deployments.save(Reports, 'write', { name: shortName, schedules: [{ cron: '0 4 * * *', slug: 'nightly' }] });
    const after = await waitFor(async () => {
      const runs = await waitingRunsOf(database, id);
      return runs.length === 4 ? runs : null;
    });
    expect(after.map((run) => run.id)).toContain(manual.id);
    const own = after.filter((run) => run.auto_scheduled);
    expect(timesOf(own).every((time) => time.endsWith('T04:00'))).toBe(true);
    expect(own.some((run) => before.some((one) => one.id === run.id))).toBe(false);
    expect(own[0]?.schedule_id).toBe(before[0]?.schedule_id);
    const left = await sql(database, 'select from nestor.flow_run_state where flow_run_id = any($1)', [
      before.map((run) => run.id),
    ]);
    expect(left).toEqual([]);
  });

  it('make their runs anew when the deployment gives them other parameters or tags', async () => {
    const { id, name } = await made({ schedules: [{ cron: '0 2 * * *' }] });
    await filled(id);
    const shortName = name.slice('report/'.length);
    const changed = { name: shortName, tags: ['new'], parameters: { of: 'stock' }, schedules: [{ cron: '0 2 * * *' }] };
    await deployments.save(Reports, 'write', changed);
    await waitFor(async () => (await waitingRunsOf(database, id)).length === 3);
    for (const run of await waitingRunsOf(database, id)) {
      expect(run.tags).toEqual(['report', 'new', 'auto-scheduled']);
      expect(run.parameters).toEqual({ of: 'stock' });
    }
    const before = await waitingRunsOf(database, id);
    await deployments.save(Reports, 'write', { ...changed, description: 'What it is for.' });
    expect(await waitingRunsOf(database, id)).toEqual(before);
  });

  it('make no runs while they or their deployments are paused, and go on with times to come [S08]', async () => {
    const { id, name } = await made({
      schedules: [
        { cron: '0 2 * * *', slug: 'two' },
        { cron: '0 3 * * *', slug: 'three' },
      ],
    });
    await waitFor(async () => (await waitingRunsOf(database, id)).length === 6);
    await deployments.pauseSchedule(name, 'two');
    expect(timesOf(await waitingRunsOf(database, id)).every((time) => time.endsWith('T03:00'))).toBe(true);
    await deployments.pause(name);
    expect(await waitingRunsOf(database, id)).toEqual([]);
    await deployments.resumeSchedule(name, 'two');
    expect((await deployments.get(name)).schedules).toMatchObject([{ active: true }, { active: true }]);
    await deployments.resume(name);
    await waitFor(async () => (await waitingRunsOf(database, id)).length === 6);
    expect((await deployments.get(name)).paused).toBe(false);
  });

  it('call their runs with their own parameters, and say who made them [S09]', async () => {
    const { id } = await made({
      parameters: { of: 'sales', pages: 1 },
      labels: { team: 'data' },
      version: '7',
      jobVariables: { memory: 512 },
      schedules: [{ cron: '0 2 * * *', slug: 'two', parameters: { pages: 9 } }],
    });
    const [run] = await filled(id);
    const { schedules } = await deployments.get(id);
    expect(run).toMatchObject({
      parameters: { of: 'sales', pages: 9 },
      tags: ['report', 'auto-scheduled'],
      labels: { team: 'data', 'prefect.deployment.id': id },
      created_by: { id: schedules[0]!.id, type: 'SCHEDULE', display_value: 'two' },
      deployment_version: '7',
      job_variables: { memory: 512 },
      auto_scheduled: true,
      idempotency_key: `scheduled ${id} ${schedules[0]!.id} ${run!.expected_start_time.toISOString().replace('Z', '000Z')}`,
    });
  });

  it.each([1, 2])('have %i runs ahead of them at most, where they say so [S12]', async (maxScheduledRuns) => {
    const { id, name } = await made({ schedules: [{ interval: 1_000, maxScheduledRuns }] });
    // By the clock after the look at the rows, not before it: what has come to its time meanwhile is ahead no more.
    const aheadOf = async (): Promise<number> => {
      const [row] = await sql<{ count: number }>(
        database,
        `select count(*)::int as count from nestor.flow_run
          where deployment_id = $1 and state_type = 'SCHEDULED' and next_scheduled_start_time > clock_timestamp()`,
        [id],
      );
      return row?.count ?? 0;
    };
    let most = 0;
    await waitFor(async () => {
      most = Math.max(most, await aheadOf());
      return (await runsOf(database, id)).filter((run) => run.state_type === 'COMPLETED').length >= 3;
    });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(maxScheduledRuns);
    await deployments.pause(name);
  });

  it('spread their runs after their times by a jitter that is always the same', async () => {
    const { id } = await made({ schedules: [{ cron: '0 2 * * *', jitter: '30m' }] });
    for (const run of await filled(id)) {
      const late = run.next_scheduled_start_time!.getTime() - run.expected_start_time.getTime();
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThan(30 * MINUTE);
      expect(run.expected_start_time.toISOString()).toContain('T02:00:00');
    }
  });

  it('begin and end when they say so', async () => {
    const startsAt = new Date(
      Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), new Date().getUTCDate() + 2),
    );
    const endsAt = new Date(startsAt.getTime() + 48 * HOUR);
    const { id } = await made({ schedules: [{ cron: '0 2 * * *', startsAt, endsAt }] });
    expect((await filled(id)).map((run) => run.expected_start_time.getTime())).toEqual([
      startsAt.getTime() + 2 * HOUR,
      startsAt.getTime() + 26 * HOUR,
    ]);
  });

  it('that cannot be filled are logged, and the others are filled all the same', async () => {
    const broken = await made({ paused: true, schedules: [{ cron: '0 2 * * *' }] });
    await sql(database, `update nestor.deployment_schedule set schedule = $2 where deployment_id = $1`, [
      broken.id,
      JSON.stringify({ kind: 'cron', cron: 'at noon', timezone: 'UTC', dayOr: true }),
    ]);
    await deployments.resume(broken.name);
    const fine = await made({ schedules: [{ cron: '0 2 * * *' }] });
    expect(await filled(fine.id)).toHaveLength(3);
    expect(await runsOf(database, broken.id)).toEqual([]);
    const [row] = await sql<{ postponed: boolean }>(
      database,
      'select fill_at > now() as postponed from nestor.deployment_schedule where deployment_id = $1',
      [broken.id],
    );
    expect(row?.postponed).toBe(true);
    await deployments.delete(broken.name);
  });
});
