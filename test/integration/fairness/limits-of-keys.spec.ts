import { setTimeout as pause } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLimits, Deployments, FlowRuns, RunControl, type DeploymentOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { FairLinesRepository } from '../../../libs/orchestrator/src/records/fair-lines/fair-lines.repository.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { checkAtEveryCommit, leftovers, NOTHING } from '../concurrency/support/limits.js';
import { Taker, Tenants, type Work } from './support/tenants.js';

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
        // The first one stays until there is a second: otherwise those who ask might be too slow for two of them.
        do await pause(5 + (number % 3));
        while (number === 0 && most.get(tenant)! < 2);
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
      expect(performance.now() - told).toBeLessThan(10_000); // far less than the half minute after which it is looked at anyway
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
    const own = { url: database.url, app: 'rated-tenants', providers: [Tenants] };
    const asking = await startApp({ ...own, worker: false });
    const there = asking.get(Deployments);
    await there.save(Tenants, 'serve', {
      name: 'rated',
      fairness: { key: 'tenant', rate: { limit: 3, period: '1h' }, concurrency: 100 },
    });
    const ids: string[] = [];
    for (const number of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      ids.push((await there.run('tenant-work/rated', { parameters: { tenant: 'a', number } })).id);
    }
    const taker = new Taker(asking, own.app);
    const numbers = async (): Promise<number[]> => (await taker.rest(2)).map(({ number }) => number);
    expect(await numbers()).toEqual([0, 1, 2]);
    expect(await numbers()).toEqual([]);
    const { reasons } = await asking.get(FlowRuns).whyNotRunning(ids[9]!);
    const rate = reasons.find(({ code }) => code === 'AWAITING_RATE');
    expect(rate).toMatchObject({ blocks: true, data: { allowed: 3, slots: 1, ahead: 6 } });
    await there.run('tenant-work/rated', { parameters: { tenant: 'b', number: 0 } });
    expect(await numbers()).toEqual([0]); // of the other one

    const pass = async (minutes: number): Promise<void> => {
      const back = `make_interval(mins => ${minutes})`;
      await sql(
        database,
        `update nestor.concurrency_limit set counted_at = counted_at - ${back} where name like 'fairness-rate:%:a'`,
      );
      await sql(database, `update nestor.fair_line set wakes_at = wakes_at - ${back} where key = 'a'`);
    };
    await pass(21);
    expect(await numbers()).toEqual([3]);
    await pass(300);
    expect(await numbers()).toEqual([4, 5, 6]);
    await asking.close();
    await sql(database, `delete from nestor.concurrency_claim where process_id is null`);
  }, 30_000);

  it('lets runs go on by themselves when its rate has room', async () => {
    const deployment = await deploy({ rate: { limit: 2, period: '400ms' } });
    const askedAt = performance.now();
    await results(await ask(deployment, 'a', [0, 1, 2, 3, 4]));
    expect(performance.now() - askedAt).toBeGreaterThan(550); // three of them waited for a fifth of a second each, if not longer
  }, 30_000);

  it('outlasts the process that has taken the run: it keeps its slot, and another one goes on with it', async () => {
    const own = { url: database.url, app: 'mortal-tenants', providers: [Tenants] };
    const asking = await startApp({ ...own, worker: false });
    const there = asking.get(Deployments);
    await there.save(Tenants, 'serve', { name: 'mortal', fairness: { key: 'tenant', concurrency: 1 } });
    const ids: string[] = [];
    for (const number of [0, 1, 2]) {
      ids.push((await there.run('tenant-work/mortal', { parameters: { tenant: 'a', number } })).id);
    }
    const dead = newId();
    await sql(database, `insert into nestor.process (id, app, host, pid) values ($1, 'mortal-tenants', 'gone', 1)`, [
      dead,
    ]);
    const taken = await new Taker(asking, 'mortal-tenants', dead).rest(10);
    expect(taken).toEqual([{ tenant: 'a', number: 0 }]); // no more than one has a slot
    await sql(database, 'update nestor.process set fenced_at = clock_timestamp() where id = $1', [dead]);
    const surviving = await startApp(own);
    await Promise.all(ids.map((id) => surviving.get(FlowRuns).result(id, { timeout: '20s' })));
    expect(surviving.get(Tenants).begun.map(({ number }) => number)).toEqual([0, 1, 2]);
    await Promise.all([asking.close(), surviving.close()]);
  }, 40_000);

  it('goes together with the limit of the deployment, of which no key gets more than its share', async () => {
    const deployment = await deploy({ concurrency: 2 }, { concurrency: 3 });
    const tell = untilTold();
    const flood = await ask(deployment, 'flood', [0, 1, 2, 3]);
    await waitFor(async () => (await isRunning(flood[0]!)) && (await isRunning(flood[1]!)));
    const [quiet] = await ask(deployment, 'quiet', [0]);
    await waitFor(() => isRunning(quiet!));
    const [late] = await ask(deployment, 'late', [0]);
    const full = await waitFor(async () =>
      (await runs.whyNotRunning(late!)).reasons.find(({ code }) => code === 'AWAITING_SLOTS'),
    );
    expect(full).toMatchObject({ data: { limit: expect.stringMatching(/^deployment:/) as string, allowed: 3 } });
    expect(begun()).toHaveLength(3);
    tell({ tenant: 'quiet', number: 0 });
    await waitFor(() => isRunning(late!)); // the key that floods has as many as it may
    tell({ tenant: 'late', number: 0 });
    for (const [number, run] of flood.entries()) {
      await waitFor(() => isRunning(run));
      tell({ tenant: 'flood', number });
    }
    await results([...flood, quiet!, late!]);
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
    await waitFor(async () => (await sql(database, 'select from nestor.fair_line where app = $1', [APP])).length === 0);
    const limits = apps[0]!.get(ConcurrencyLimits);
    const named = async (): Promise<string[]> =>
      (await limits.list({ limit: 200 })).map(({ name }) => name).filter((name) => name.startsWith('fairness'));
    expect((await named()).length).toBeGreaterThanOrEqual(2);
    await sql(database, `update nestor.concurrency_limit set counted_at = counted_at - interval '1 day'`);
    await waitFor(async () => {
      await sql(database, `update nestor.fair_app set tidied_at = '-infinity'`);
      await apps[0]!.get(FairLinesRepository).tidy(APP); // which leaves out what somebody else is at
      return (await named()).length === 0;
    });
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
