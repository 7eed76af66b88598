import { Injectable, type INestApplicationContext, type Type } from '@nestjs/common';
import { Deployments, Flow, type DeploymentOptions, type ScheduleCatchUp } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf, shiftBack } from './support/deployed.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

type Declared = DeploymentOptions<{ of?: string }>;
type Schedules = NonNullable<Declared['schedules']>;

/** A class whose flow declares these deployments, as another release of it would. */
function reports(...deployments: Declared[]) {
  @Injectable()
  class Reports {
    @Flow({ name: 'report', deployments })
    async write(_: { of?: string } = {}): Promise<void> {}
  }
  return Reports;
}

describe('times of schedules that passed while no process was there', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());

  let apps = 0;
  const start = (provider: Type): Promise<INestApplicationContext> =>
    startApp({ url: database.url, providers: [provider], app: `catching-${apps}` });

  /**
   * The times that were run, or are going to be, out of those that passed in an outage of that length.
   *
   * @param changes what the release says of the deployment that ends the outage.
   */
  const missedTimes = async (
    schedule: Schedules[number],
    outageMs: number,
    changes: Partial<Declared> = {},
  ): Promise<number[]> => {
    apps += 1;
    const declared = { name: `d${apps}`, schedules: [schedule] };
    const before = await start(reports(declared));
    const { id } = await before.get(Deployments).get(`report/${declared.name}`);
    await waitFor(async () => (await runsOf(database, id)).length > 0);
    await before.close();
    await shiftBack(database, id, outageMs);
    const after = await start(reports({ ...declared, ...changes }));
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

  it.each<[string, ScheduleCatchUp, number, Partial<Declared>]>([
    ['all', 'all', 24, { version: '2' }],
    ['all, with other tags and parameters', 'all', 24, { tags: ['new'], parameters: { of: 'sales' } }],
    ['the last, not one that had been made ahead', 'latest', 1, { version: '2' }],
    ['none', 'none', 0, { version: '2' }],
  ])(
    'are run as the schedule says when the outage ends with another release: %s [S10]',
    async (_, catchUp, ...rest) => {
      const [expected, changes] = rest;
      const times = await missedTimes({ ...everyFiveMinutes(), catchUp }, 2 * HOUR, changes);
      expect(times).toHaveLength(expected);
      if (catchUp === 'latest') expect(times[0]).toBeGreaterThan(Date.now() - 8 * MINUTE);
    },
  );

  it('are run when the schedule gives its runs something else, and are none of a schedule of other times [S10]', async () => {
    const schedule = { ...everyFiveMinutes(), slug: 'often', catchUp: 'all' as const };
    const given = await missedTimes(schedule, 2 * HOUR, { schedules: [{ ...schedule, parameters: { of: 'sales' } }] });
    expect(given).toHaveLength(24);
    const other = await missedTimes(schedule, 2 * HOUR, { schedules: [{ ...schedule, interval: '10m' }] });
    expect(other).toHaveLength(16); // of which runs had been made
  });

  it('are not missed when somebody was there within a minute [S10]', async () => {
    apps += 1;
    const provider = reports();
    const before = await start(provider);
    const schedules = [{ cron: '*/5 * * * *', catchUp: 'none' as const }];
    const { id } = await before.get(Deployments).save(provider, 'write', { name: `d${apps}`, schedules });
    const first = await waitFor(async () => (await runsOf(database, id))[0]);
    await before.close();
    await shiftBack(database, id, first.expected_start_time.getTime() - Date.now() + 20_000);
    await shiftBack(database, id, 0); // seen a moment ago
    const after = await start(provider);
    await waitFor(async () => (await runsOf(database, id))[0]?.state_type === 'COMPLETED');
    await after.close();
  });
});
