import type { INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLeases, ConcurrencyLimits } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { leftovers, NOTHING } from './support/limits.js';

describe('the lease of code that waits for its slots', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let limits: ConcurrencyLimits;
  let leases: ConcurrencyLeases;
  let held: string;
  let began: string[];
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, services: { slots: false } });
    limits = app.get(ConcurrencyLimits);
    leases = app.get(ConcurrencyLeases);
  });
  beforeEach(async () => {
    await limits.create('a', { limit: 1 });
    held = await lease('a');
    began = [];
  });
  afterEach(async () => {
    expect(await leftovers(database)).toEqual(NOTHING);
    await sql(database, 'delete from nestor.concurrency_limit');
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const lease = async (limit: string): Promise<string> => {
    const answer = await leases.acquire({ limits: limit });
    if (answer.kind !== 'granted') throw new Error(`Refused: ${limit}`);
    return answer.leaseId;
  };
  const line = (places: number): Promise<unknown> => waitFor(async () => (await limits.get('a')).waiting === places);
  /** @returns how many microseconds the lease ends after the slot was granted, as of when the code begins. */
  const work = (name: string, leaseDuration: '1m' | '5s' | '1s'): Promise<number> =>
    limits.concurrency('a', { leaseDuration }, async () => {
      began.push(name);
      const [slot] = await limits.slots('a');
      return slot!.expiresAt! - slot!.since;
    });
  const workWithoutLease = (name: string, gate?: Gate): Promise<void> =>
    limits.concurrency('a', 1, async () => {
      began.push(name);
      await gate?.pass();
    });
  /** Hands the slot over and says so to nobody; the lease that begins has that many seconds left. */
  const handOverUnheard = (seconds: number): Promise<unknown> =>
    sql(
      database,
      `do $$ begin
         perform nestor.concurrency_release(array['${held}'::uuid], 0);
         update nestor.concurrency_claim set expires_at = clock_timestamp() + ${seconds} * interval '1 second'
          where granted_at is not null;
       end $$`,
    );

  it('begins when they are granted, so that it keeps its place however long it waits', async () => {
    const keeper = await startApp({ url: database.url });
    try {
      await limits.create('other', { limit: 1 });
      await lease('other');
      const first = work('first', '1m');
      await line(1);
      const second = workWithoutLease('second');
      await line(2);
      await sql(
        database,
        `update nestor.concurrency_claim set expires_at = clock_timestamp() - interval '1 second'
          where id <> $1 and expires_at is not null`,
        [held],
      );
      await waitFor(async () => (await limits.get('other')).activeSlots === 0); // what has run out by now is ended
      expect(await limits.get('a')).toMatchObject({ waiting: 2 });
      await leases.release(held);
      expect(await first).toBeCloseTo(60_000_000, -5);
      await second;
      expect(began).toEqual(['first', 'second']);
    } finally {
      await keeper.close();
    }
  });

  it('is renewed before the code begins, where they were granted a while ago', async () => {
    const late = work('late', '5s');
    await line(1);
    await handOverUnheard(3);
    expect(await late).toBeGreaterThan(5_000_000);
  });

  it('that is over before anybody has heard of it lets the next in, and the code begins in its turn', async () => {
    const gate = new Gate();
    const unlucky = work('unlucky', '1s');
    await line(1);
    const next = workWithoutLease('next', gate);
    await line(2);
    await handOverUnheard(-1);
    await gate.reached;
    expect(began).toEqual(['next']);
    gate.open();
    await Promise.all([next, unlucky]);
    expect(began).toEqual(['next', 'unlucky']);
  });
});
