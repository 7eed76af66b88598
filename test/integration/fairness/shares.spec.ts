import type { INestApplicationContext } from '@nestjs/common';
import { Flows, FlowRuns, InvalidRunOptionError, RunControl, WorkPools } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import * as fc from 'fast-check';
import { DataSource } from 'typeorm';
import { FairLinesRepository } from '../../../libs/orchestrator/src/records/fair-lines/fair-lines.repository.js';
import { FlowRunClaimsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { Transactions } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { SlotKeeper } from '../../../libs/orchestrator/src/runtime/concurrency/slot-keeper.service.js';
import { FlowRegistry } from '../../../libs/orchestrator/src/runtime/registry/flow-registry.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { makeDue } from '../deployments/support/deployed.js';
import { counts, enqueue, Taker, Tenants } from './support/tenants.js';

const APP = 'tenants';

describe('runs with keys', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let taker: Taker;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, app: APP, providers: [Tenants], worker: false });
    taker = new Taker(app, APP);
    await app.get(SlotKeeper).stop(); // lines are tidied when a test says so, and not by themselves in the middle of one
  });
  afterEach(async () => {
    // What a test has taken is nobody's any more, and what it has left is none of the next one's business.
    await sql(database, `truncate nestor.flow_run, nestor.flow_run_state, nestor.fair_line, nestor.fair_news`);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const lines = () =>
    sql<{ key: string; asleep: boolean }>(
      database,
      'select key, wakes_at is not null as asleep from nestor.fair_line order by key',
    );
  const nextInMs = () =>
    app.get(FlowRunClaimsRepository).nextFreeInMs({ app: APP, flowIds: [app.get(FlowRegistry).flowId('tenant-work')] });

  describe('take turns', () => {
    it('one after the other, each key in the order in which its runs were due', async () => {
      for (const tenant of ['a', 'b', 'c']) await enqueue(app, tenant, 4);
      const taken = await taker.rest(3);
      expect(taken).toHaveLength(12);
      for (let turn = 0; turn < 4; turn += 1) {
        const round = taken.slice(turn * 3, turn * 3 + 3);
        expect(round.map(({ tenant }) => tenant).sort()).toEqual(['a', 'b', 'c']);
        expect(round.map(({ number }) => number)).toEqual([turn, turn, turn]);
      }
      expect(await lines()).toEqual([]);
    });

    it('in proportion to their weights', async () => {
      for (const [tenant, weight] of Object.entries({ one: 1, two: 2, three: 3 })) {
        await enqueue(app, tenant, 400, { weight });
      }
      const taken: string[] = [];
      while (taken.length < 600) taken.push(...(await taker.tenants(25)));
      const { one, two, three } = counts(taken);
      expect(Math.abs(one! - 100)).toBeLessThanOrEqual(10);
      expect(Math.abs(two! - 200)).toBeLessThanOrEqual(20);
      expect(Math.abs(three! - 300)).toBeLessThanOrEqual(30);
    });

    it('whatever the weights and however many are taken at a time: no key gets ahead by more than a turn of each', async () => {
      const weights = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 6 });
      const property = fc.asyncProperty(
        weights,
        fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 5, maxLength: 12 }),
        async (given, sizes) => {
          await sql(database, `truncate nestor.flow_run, nestor.flow_run_state, nestor.fair_line, nestor.fair_news`);
          const shares = new Map(given.map((weight, index) => [`t${index}`, weight / 10]));
          for (const [tenant, weight] of shares) await enqueue(app, tenant, 250, { weight });
          const got = new Map([...shares.keys()].map((tenant) => [tenant, 0]));
          for (const size of sizes) {
            const tenants = await taker.tenants(size);
            expect(tenants).toHaveLength(size);
            for (const tenant of tenants) got.set(tenant, got.get(tenant)! + 1);
            for (const [one, mine] of shares) {
              for (const [other, theirs] of shares) {
                const lead = got.get(one)! / mine - got.get(other)! / theirs;
                expect(lead).toBeLessThanOrEqual(1 / mine + 1 / theirs + 1e-9);
              }
            }
          }
        },
      );
      await fc.assert(property, { numRuns: 12, seed: 20 });
    }, 60_000);

    it('so that one that floods holds up no other', async () => {
      await enqueue(app, 'flood', 2_000);
      expect(await taker.tenants(20)).toEqual(Array(20).fill('flood'));
      await enqueue(app, 'quiet', 1);
      expect(await taker.tenants(3)).toContain('quiet');
      expect(await taker.tenants(20)).toEqual(Array(20).fill('flood'));
    });

    it('without credit for the time in which a key had nothing, and without debt for what it had', async () => {
      await enqueue(app, 'busy', 300);
      await taker.take(200);
      await enqueue(app, 'late', 100);
      expect(counts(await taker.tenants(40)).late).toBeGreaterThanOrEqual(19);
      await sql(
        database,
        `update nestor.flow_run set state_type = 'CANCELLED' where process_id is null and fairness_key = 'busy'`,
      );
      await taker.take(10);
      await enqueue(app, 'busy', 50);
      const { busy, late } = counts(await taker.tenants(40));
      expect(Math.abs(busy! - late!)).toBeLessThanOrEqual(2);
    });

    it('with those that have none, by halves, whichever there are more of', async () => {
      await enqueue(app, 'a', 100);
      await enqueue(app, 'b', 100);
      await enqueue(app, '', 100);
      const some = counts(await taker.tenants(40));
      expect(some['']).toBe(20);
      expect(Math.abs(some.a! - some.b!)).toBeLessThanOrEqual(1);
      const ones = [...(await taker.tenants(1)), ...(await taker.tenants(1))].map((tenant) => tenant === '');
      expect(ones.sort()).toEqual([false, true]);
      expect(await taker.rest(50)).toHaveLength(258);
    });

    it('within a priority: the lowest goes first, with a key or without', async () => {
      await enqueue(app, 'a', 5, { priority: 2 });
      await enqueue(app, '', 5, { priority: 1 });
      await enqueue(app, 'a', 5, { priority: 3 });
      await enqueue(app, 'b', 5, { priority: 2 });
      expect(await taker.tenants(5)).toEqual(Array(5).fill(''));
      expect(counts(await taker.tenants(10))).toEqual({ a: 5, b: 5 });
      expect(await taker.tenants(10)).toEqual(Array(5).fill('a'));
    });

    it('in the queues of a pool as well, within what pool and queue have room for', async () => {
      await app.get(WorkPools).create('shared', { concurrencyLimit: 7 });
      const calls = (tenant: string) => Array.from({ length: 50 }, (_, number) => [{ tenant, number }] as const);
      for (const fairnessKey of ['a', 'b']) {
        await app.get(Flows).with({ workPool: 'shared', fairnessKey }).enqueueAll(Tenants, 'serve', calls(fairnessKey));
      }
      await app.get(Flows).with({ workPool: 'shared' }).enqueueAll(Tenants, 'serve', calls(''));
      const claims = app.get(FlowRunClaimsRepository);
      const who = { processId: taker.processId, app: APP, flowIds: [app.get(FlowRegistry).flowId('tenant-work')] };
      const queues = { poolName: 'shared', poolType: 'nest', queueNames: null };
      expect((await claims.nextQueued(who, queues)).inTurn).toBe(true);
      const taken = await claims.claimQueuedInTurn({ ...who, limit: 100 }, queues);
      const tenants = counts(taken.map(({ created }) => (JSON.parse(created.parameters) as { tenant: string }).tenant));
      expect(taken).toHaveLength(7);
      expect([3, 4]).toContain(tenants['']);
      expect(Math.abs(tenants.a! - tenants.b!)).toBeLessThanOrEqual(1);
      expect(taken.every(({ isLimited }) => isLimited)).toBe(true);
      expect(await claims.claimQueuedInTurn({ ...who, limit: 100 }, queues)).toEqual([]);
      expect((await claims.nextQueued(who, queues)).ms).toBeNull();
    });
  });

  describe('that are not due', () => {
    it('are taken when they are, in turn with those who wait by then', async () => {
      await enqueue(app, 'later', 10, { in: '1h' });
      await enqueue(app, 'now', 40);
      expect(await taker.tenants(10)).toEqual(Array(10).fill('now'));
      expect(await lines()).toEqual([
        { key: 'later', asleep: true },
        { key: 'now', asleep: false },
      ]);
      await sql(database, `update nestor.flow_run set next_scheduled_start_time = now() where fairness_key = 'later'`);
      await sql(database, `update nestor.fair_line set wakes_at = now() where key = 'later'`);
      const taken = await taker.tenants(22);
      expect(taken.indexOf('now')).toBeLessThan(3);
      expect(counts(taken).later).toBe(10);
    });

    it('let whoever takes runs sleep until they are', async () => {
      await enqueue(app, 'later', 1, { in: '1h' });
      expect(await nextInMs()).toBe(0); // nobody knows of them yet
      expect(await taker.take(10)).toEqual([]);
      const ms = (await nextInMs())!;
      expect(ms).toBeGreaterThan(3_590_000);
      expect(ms).toBeLessThanOrEqual(3_600_100);
    });

    it('stay in their line when they are late', async () => {
      const { id } = await app
        .get(Flows)
        .with({ fairnessKey: 'a' })
        .enqueue(Tenants, 'serve', { tenant: 'a', number: 1 });
      await makeDue(database, [id], 60);
      const stored = app.get(FlowRunsRepository);
      await waitFor(async () => (await stored.find(id))!.stateName === 'Late');
      expect((await stored.find(id))!.fairLineId).not.toBeNull();
      expect(await taker.tenants(1)).toEqual(['a']);
    });

    it('leave their line when somebody ends them', async () => {
      const queue = app.get(Flows).with({ fairnessKey: 'a', in: '1h' });
      const later = await queue.enqueue(Tenants, 'serve', { tenant: 'a', number: 1 });
      await taker.take(1);
      const stored = app.get(FlowRunsRepository);
      expect((await stored.find(later.id))!.fairLineId).not.toBeNull();
      await app.get(RunControl).cancel(later.id);
      expect((await stored.find(later.id))!.fairLineId).toBeNull();
      expect(await taker.take(1)).toEqual([]);
    });
  });

  describe('are taken', () => {
    it('once, by one of several that take them side by side, and none is left over', async () => {
      for (let index = 0; index < 8; index += 1) await enqueue(app, `t${index}`, 50);
      await enqueue(app, '', 100);
      const takers = [taker, new Taker(app, APP, await joined()), new Taker(app, APP, await joined())];
      const taken = (await Promise.all(takers.map((one) => one.rest(7)))).flat();
      taken.push(...(await taker.rest(50))); // what was in the hands of somebody else when the last of them looked
      expect(taken).toHaveLength(500);
      expect(new Set(taken.map(({ tenant, number }) => `${tenant} ${number}`)).size).toBe(500);
    });

    it('without waiting for transactions of the application that put more of them there', async () => {
      const host = new DataSource({ type: 'postgres', url: database.url });
      await host.initialize();
      try {
        await enqueue(app, 'a', 2);
        const runners = [host.createQueryRunner(), host.createQueryRunner()];
        for (const runner of runners) {
          await runner.startTransaction();
          await app
            .get(Flows)
            .with({ fairnessKey: 'a', transaction: runner })
            .enqueue(Tenants, 'serve', { tenant: 'a', number: 9 });
        }
        expect(await taker.rest(10)).toHaveLength(2); // and the line is removed
        expect(await lines()).toEqual([]);
        await runners[0]!.commitTransaction();
        await runners[1]!.rollbackTransaction();
        expect(await taker.rest(10)).toEqual([{ tenant: 'a', number: 9 }]);
        for (const runner of runners) await runner.release();
      } finally {
        await host.destroy();
      }
    });

    it('by nobody for a process that is fenced', async () => {
      await enqueue(app, 'a', 1);
      const fenced = await joined();
      await sql(database, 'update nestor.process set fenced_at = clock_timestamp() where id = $1', [fenced]);
      expect(await new Taker(app, APP, fenced).take(1)).toEqual([]);
      expect(await taker.take(1)).toHaveLength(1);
    });

    it('and go on without a turn when they are handed back, or their process dies', async () => {
      await enqueue(app, 'a', 3);
      const dead = await joined();
      await new Taker(app, APP, dead).take(2);
      await sql(database, 'update nestor.process set fenced_at = clock_timestamp() where id = $1', [dead]);
      const ids = await sql<{ id: string }>(database, 'select id from nestor.flow_run where process_id = $1', [dead]);
      const held = ids.map(({ id }) => id);
      const flowRuns = app.get(FlowRunsRepository);
      await app.get(Transactions).single((tx) => flowRuns.releaseOrphans(tx, held));
      expect((await taker.rest(10)).map(({ number }) => number).sort()).toEqual([0, 1, 2]);
    });

    it('also when their line got lost', async () => {
      await enqueue(app, 'a', 2);
      await enqueue(app, 'b', 1);
      await taker.take(1);
      await sql(database, 'delete from nestor.fair_line');
      await sql(database, 'delete from nestor.fair_news');
      await sql(database, `update nestor.fair_app set tidied_at = '-infinity'`);
      expect(await taker.take(10)).toEqual([]);
      await app.get(FairLinesRepository).tidy(APP);
      expect(await taker.rest(10)).toHaveLength(2);
    });
  });

  it.each<[string, object, RegExp]>([
    ['a key without characters', { fairnessKey: '' }, /"fairnessKey" of a new run must have 1 to 200/],
    ['a key of more than 200', { fairnessKey: 'x'.repeat(201) }, /1 to 200 characters/],
    ['a key with a NUL', { fairnessKey: 'a\0b' }, /no NUL/],
    ['a weight without a key', { fairnessWeight: 2 }, /"fairnessKey" does not say of which/],
    ['a weight of 0', { fairnessKey: 'a', fairnessWeight: 0 }, /"fairnessWeight" of a new run is 0/],
    ['a negative weight', { fairnessKey: 'a', fairnessWeight: -1 }, /from 0.001 to 1000/],
    ['a weight that is no number', { fairnessKey: 'a', fairnessWeight: NaN }, /is NaN/],
    ['a weight without end', { fairnessKey: 'a', fairnessWeight: Infinity }, /is Infinity/],
  ])('are refused with %s', (_, options, message) => {
    const ask = (): unknown => app.get(Flows).with(options);
    expect(ask).toThrow(InvalidRunOptionError);
    expect(ask).toThrow(message);
  });

  it('cannot be started at once: those do not wait', async () => {
    const start = app
      .get(Flows)
      .with({ fairnessKey: 'a' } as object)
      .start(Tenants, 'serve', { tenant: 'a', number: 0 });
    await expect(start).rejects.toThrow(InvalidRunOptionError);
  });

  it('are told that they wait for their turn', async () => {
    await enqueue(app, 'a', 3);
    await enqueue(app, 'b', 1);
    await taker.take(1);
    const [last] = await sql<{ id: string }>(
      database,
      `select id from nestor.flow_run where fair_line_id is not null and fairness_key = 'a' order by id desc limit 1`,
    );
    const { reasons } = await app.get(FlowRuns).whyNotRunning(last!.id);
    const share = reasons.find(({ code }) => code === 'AWAITING_SHARE');
    expect(share).toMatchObject({ blocks: true, data: { key: 'a', keys: 1 } });
    expect(share?.message).toMatch(
      /^It waits for a turn of the runs with key "a": .* of those go first, and 1 other keys/,
    );
  });

  /** The id of a process of the application that executes nothing. */
  async function joined(): Promise<string> {
    const id = newId();
    await sql(database, `insert into nestor.process (id, app, host, pid) values ($1, $2, 'somewhere', 1)`, [id, APP]);
    return id;
  }
});
