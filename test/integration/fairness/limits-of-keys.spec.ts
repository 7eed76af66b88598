import { setTimeout as pause } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLimits, Deployments, FlowRuns, RunControl, type DeploymentOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { FairLinesRepository } from '../../../libs/orchestrator/src/records/fair-lines/fair-lines.repository.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { checkAtEveryCommit, leftovers, NOTHING } from '../concurrency/support/limits.js';
import { counts, Tenants, type Work } from './support/tenants.js';

const APP = 'limited-tenants';

type Fairness = NonNullable<DeploymentOptions<Work>['fairness']>;

describe('what the runs of a key may do at once', () => {
  let database: TestDatabase;
  let apps: INestApplicationContext[];
  let tenants: Tenants[];
  let runs: FlowRuns;
  let deployments: Deployments;
  let names = 0;
  beforeAll(async () => {
    database = await testDatabase();
    const options = {
      url: database.url,
      app: APP,
      drain: '10ms' as const,
      cancelGrace: '50ms' as const,
      providers: [Tenants],
      worker: { limit: 20 },
    };
    apps = await Promise.all([startApp(options), startApp(options)]);
    await checkAtEveryCommit(database);
    tenants = apps.map((app) => app.get(Tenants));
    runs = apps[0]!.get(FlowRuns);
    deployments = apps[0]!.get(Deployments);
  });
  beforeEach(() => {
    for (const one of tenants) {
      one.work = async () => undefined;
      one.begun.length = 0;
    }
  });
  afterEach(async () => {
    await waitFor(async () => JSON.stringify(await leftovers(database)) === JSON.stringify(NOTHING));
  });
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await Promise.all(apps.map((app) => app.close()));
    await database.drop();
  });

  const deploy = async (
    fairness: Omit<Fairness, 'key'>,
    more: Partial<DeploymentOptions<Work>> = {},
  ): Promise<string> => {
    const name = `d${(names += 1)}`;
    await deployments.save(Tenants, 'serve', { name, fairness: { key: 'tenant', ...fairness }, ...more });
    return `tenant-work/${name}`;
  };
  const ask = async (deployment: string, tenant: string, numbers: readonly number[]): Promise<string[]> => {
    const ids: string[] = [];
    for (const number of numbers) ids.push((await deployments.run(deployment, { parameters: { tenant, number } })).id);
    return ids;
  };
  const begun = (): Work[] => tenants.flatMap((one) => one.begun);
  const results = (ids: readonly string[]) => Promise.all(ids.map((id) => runs.result(id, { timeout: '30s' })));
  const isRunning = async (id: string): Promise<boolean> => (await runs.get(id)).stateName === 'Running';

  /** Lets runs go on until they are told to end. */
  const untilTold = (): ((work: Work) => void) => {
    const tells = new Map<string, () => void>();
    const nameOf = ({ tenant, number }: Work): string => `${tenant} ${number}`;
    for (const one of tenants) {
      one.work = (work) => new Promise<void>((resolve) => tells.set(nameOf(work), resolve));
    }
    return (work) => tells.get(nameOf(work))!();
  };

  it('is never exceeded at any commit, and its runs begin in order', async () => {
    const deployment = await deploy({ concurrency: 2 });
    const running = new Map<string, number>();
    const most = new Map<string, number>();
    for (const one of tenants) {
      one.work = async ({ tenant, number }) => {
        running.set(tenant, (running.get(tenant) ?? 0) + 1);
        most.set(tenant, Math.max(most.get(tenant) ?? 0, running.get(tenant)!));
        await pause(5 + (number % 3));
        running.set(tenant, running.get(tenant)! - 1);
      };
    }
    const numbers = Array.from({ length: 15 }, (_, number) => number);
    const ids = (await Promise.all(['a', 'b', 'c'].map((tenant) => ask(deployment, tenant, numbers)))).flat();
    await results(ids);
    // Of the two processes together; the trigger says the same of every commit.
    expect(Object.fromEntries(most)).toEqual({ a: 2, b: 2, c: 2 });
    for (const one of tenants) {
      const inOrder = one.begun.filter(({ tenant }) => tenant === 'a').map(({ number }) => number);
      expect(inOrder).toEqual([...inOrder].sort((left, right) => left - right));
    }
    expect(await stateNames(database, ids.at(-1)!)).toEqual(['Scheduled', 'Pending', 'Running', 'Completed']);
  }, 40_000);

  it('holds up no other key, costs no look at the runs that wait, and is told', async () => {
    const deployment = await deploy({ concurrency: 1 });
    const tell = untilTold();
    const [first] = await ask(deployment, 'a', [0]);
    await waitFor(() => isRunning(first!));
    const waiting = await ask(deployment, 'a', [1, 2, 3]);
    await waitFor(async () => (await lineOf('a'))?.held === true);
    const [other] = await ask(deployment, 'b', [0]);
    await waitFor(() => isRunning(other!));
    expect((await lineOf('a'))?.held).toBe(true);

    const { reasons } = await runs.whyNotRunning(waiting[1]!);
    const [slots, share] = reasons;
    expect(slots).toMatchObject({
      code: 'AWAITING_SLOTS',
      data: { allowed: 1, slots: 1, ahead: 1, heldBy: [{ flowRunId: first, slots: 1 }] },
    });
    expect(slots?.message).toMatch(/of limit "fairness:[0-9a-f-]+:a"; flow run/);
    expect(share).toMatchObject({ code: 'AWAITING_SHARE', data: { key: 'a', ahead: 1 } });

    for (const [index, run] of waiting.entries()) {
      const told = performance.now();
      tell({ tenant: 'a', number: index });
      await waitFor(() => isRunning(run));
      expect(performance.now() - told).toBeLessThan(2_000); // far less than the half minute after which it is looked at anyway
    }
    tell({ tenant: 'a', number: 3 });
    tell({ tenant: 'b', number: 0 });
    await results([first!, other!, ...waiting]);
  }, 30_000);

  it('is free again when a run is cancelled, and when one fails for good; not while one tries again', async () => {
    const deployment = await deploy({ concurrency: 1 });
    let failures = 0;
    for (const one of tenants) {
      one.work = async ({ number }) => {
        if (number === 0) throw new Error(`no ${(failures += 1)}`);
        if (number === 1) await pause(60_000, undefined, { ref: false });
      };
    }
    const [failing, hanging, last] = await ask(deployment, 'a', [0, 1, 2]);
    await expect(runs.result(failing!, { timeout: '20s' })).rejects.toThrow('no 2');
    await waitFor(() => isRunning(hanging!));
    expect(begun().map(({ number }) => number)).toEqual([0, 0, 1]);
    await apps[0]!.get(RunControl).cancel(hanging!);
    await results([last!]);
  }, 30_000);

  it('can be a rate: so many at once, and as many in each period', async () => {
    const period = 600;
    const deployment = await deploy({ rate: { limit: 3, period } });
    const times: number[] = [];
    for (const one of tenants) one.work = async () => times.push(performance.now());
    const ids = await ask(deployment, 'a', [0, 1, 2, 3, 4, 5, 6, 7]);
    const waiting = await waitFor(async () =>
      (await runs.whyNotRunning(ids[7]!)).reasons.find(({ code }) => code === 'AWAITING_RATE'),
    );
    expect(waiting).toMatchObject({ blocks: true, data: { allowed: 3, slots: 1, taskRunId: null } });
    await results([...(await ask(deployment, 'b', [0])), ...ids]);
    expect(begun().findIndex(({ tenant }) => tenant === 'b')).toBeLessThan(8);
    const [from] = times;
    for (const [index, time] of times.filter((__, place) => place > 0).entries()) {
      // The first three at once; after that one for each third of the period. What begins is a little later than what was taken.
      expect(index + 1).toBeLessThanOrEqual(3 + 1 + ((time - from! + 60) / period) * 3);
    }
    expect(times.at(-1)! - from!).toBeGreaterThan(period * 1.3);
  }, 30_000);

  it('goes together with the limit of the deployment, of which no key gets more than its share', async () => {
    const deployment = await deploy({ concurrency: 2 }, { concurrency: 3 });
    for (const one of tenants) one.work = async () => pause(5);
    const flood = await ask(
      deployment,
      'flood',
      Array.from({ length: 30 }, (_, number) => number),
    );
    await waitFor(() => begun().length >= 3);
    const [quiet] = await ask(deployment, 'quiet', [0]);
    await results([quiet!]);
    expect(counts(begun().map(({ tenant }) => tenant)).flood).toBeLessThan(30);
    await results(flood);
  }, 30_000);

  it('is what the deployment says by now', async () => {
    const deployment = await deploy({ concurrency: 1 });
    const name = deployment.split('/')[1]!;
    const tell = untilTold();
    const ids = await ask(deployment, 'a', [0, 1, 2]);
    await waitFor(() => isRunning(ids[0]!));
    await waitFor(async () => (await lineOf('a'))?.held === true);
    await deployments.save(Tenants, 'serve', { name, fairness: { key: 'tenant', concurrency: 3 } });
    await waitFor(async () => (await isRunning(ids[1]!)) && (await isRunning(ids[2]!)));
    for (const number of [0, 1, 2]) tell({ tenant: 'a', number });
    await results(ids);
  }, 30_000);

  it('leaves nothing behind: lines go with their last run, and limits when nobody has used them for a minute', async () => {
    const deployment = await deploy({ concurrency: 1, rate: { limit: 100, period: '1s' } });
    await results(await ask(deployment, 'a', [0, 1]));
    await waitFor(async () => (await sql(database, 'select from nestor.fair_line')).length === 0);
    const limits = apps[0]!.get(ConcurrencyLimits);
    const named = async (): Promise<string[]> =>
      (await limits.list({ limit: 200 })).map(({ name }) => name).filter((name) => name.startsWith('fairness'));
    expect((await named()).length).toBeGreaterThanOrEqual(2);
    await sql(database, `update nestor.concurrency_limit set counted_at = counted_at - interval '2 minutes'`);
    await sql(database, `update nestor.fair_app set tidied_at = '-infinity'`);
    await apps[0]!.get(FairLinesRepository).tidy(APP);
    expect(await named()).toEqual([]);
    await results(await ask(deployment, 'a', [2]));
  }, 20_000);

  const lineOf = async (key: string): Promise<{ held: boolean } | undefined> => {
    const [line] = await sql<{ held: boolean }>(
      database,
      'select wakes_at is not null and rank is not null as held from nestor.fair_line where key = $1',
      [key],
    );
    return line;
  };
});
