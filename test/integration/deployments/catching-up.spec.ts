import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Deployments, Flow, type ScheduleCatchUp, type ScheduleOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf, shiftBack } from './support/deployed.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

@Injectable()
class Reports {
  @Flow({ name: 'report' })
  async write(): Promise<void> {}
}

describe('times of schedules that passed while no process was there', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());

  let apps = 0;
  const start = (): Promise<INestApplicationContext> =>
    startApp({ url: database.url, providers: [Reports], app: `catching-${apps}` });

  /** The times that were run, or are going to be, out of those that passed in an outage of that length. */
  const missedTimes = async (schedule: ScheduleOptions, outageMs: number) => {
    apps += 1;
    const before = await start();
    const { id } = await before.get(Deployments).save(Reports, 'write', { name: `d${apps}`, schedules: [schedule] });
    await waitFor(async () => (await runsOf(database, id)).length > 0);
    await before.close();
    await shiftBack(database, id, outageMs);
    const after = await start();
    const horizon = await waitFor(async () => {
      const runs = await runsOf(database, id);
      const isFilled = runs.some((run) => run.expected_start_time.getTime() > Date.now() + HOUR - 5 * MINUTE);
      const isDoneOrAhead = runs.every(({ state_type: type, next_scheduled_start_time: next }) =>
        // What is being executed has no next time.
        next === null ? type === 'COMPLETED' : next.getTime() > Date.now(),
      );
      return isFilled && isDoneOrAhead ? runs : null;
    });
    await after.get(Deployments).delete(id);
    await after.close();
    return horizon.map((run) => run.expected_start_time.getTime()).filter((time) => time < Date.now() - MINUTE);
  };

  /** None of its times is near now. */
  const everyFiveMinutes = () => ({ interval: '5m' as const, anchor: new Date(Date.now() + 2.5 * MINUTE) });

  it.each<[string, ScheduleCatchUp | undefined, number]>([
    ['are run late as far as runs had been made, and are passed over beyond, by default', undefined, 16],
    ['are passed over: none', 'none', 0],
    ['are run once: latest', 'latest', 1],
    ['are all run: all', 'all', 24],
  ])('%s [S10]', async (_, catchUp, expected) => {
    // Runs are made an hour and a quarter ahead, which is 16 of them; in two hours 24 times pass.
    const times = await missedTimes({ ...everyFiveMinutes(), ...(catchUp && { catchUp }) }, 2 * HOUR);
    expect(times).toHaveLength(expected);
    expect(new Set(times).size).toBe(times.length);
    if (catchUp === 'latest') expect(times[0]).toBeGreaterThan(Date.now() - 8 * MINUTE);
  });

  it('are all run as far back as the schedule says [S10]', async () => {
    const times = await missedTimes({ ...everyFiveMinutes(), catchUp: 'all', catchUpWindow: '30m' }, 2 * HOUR);
    expect(times).toHaveLength(6);
    expect(Math.min(...times)).toBeGreaterThan(Date.now() - 31 * MINUTE);
  });

  it('are not missed when somebody was there within a minute [S10]', async () => {
    apps += 1;
    const before = await start();
    const schedules = [{ cron: '*/5 * * * *', catchUp: 'none' as const }];
    const { id } = await before.get(Deployments).save(Reports, 'write', { name: `d${apps}`, schedules });
    const first = await waitFor(async () => (await runsOf(database, id))[0]);
    await before.close();
    await shiftBack(database, id, first.expected_start_time.getTime() - Date.now() + 20_000);
    await shiftBack(database, id, 0); // seen a moment ago
    const after = await start();
    await waitFor(async () => (await runsOf(database, id))[0]?.state_type === 'COMPLETED');
    await after.close();
  });
});
