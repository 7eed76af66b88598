import fc from 'fast-check';
import type { INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLeases, ConcurrencyLimits, FlowRuns, Flows, rateLimit } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Client } from 'pg';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { leftovers, NOTHING } from './support/limits.js';

describe('limits whose slots decay', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let other: INestApplicationContext;
  let limits: ConcurrencyLimits;
  beforeAll(async () => {
    database = await testDatabase();
    const options = { url: database.url, app: 'rates', drain: '10ms' as const, providers: [Stage] };
    [app, other] = await Promise.all([startApp(options), startApp(options)]);
    limits = app.get(ConcurrencyLimits);
  });
  afterEach(async () => {
    await waitFor(async () => JSON.stringify(await leftovers(database)) === JSON.stringify(NOTHING));
    await sql(database, 'delete from nestor.concurrency_limit');
  });
  afterAll(async () => {
    await Promise.all([app.close(), other.close()]);
    await database.drop();
  });

  it('let through so many at once, and so many a second [G04]', async () => {
    await limits.create('mail', { limit: 10, slotDecayPerSecond: 20 });
    const began = performance.now();
    const times: number[] = [];
    const pass = async (from: ConcurrencyLimits): Promise<void> => {
      await from.rateLimit('mail');
      times.push(performance.now() - began);
    };
    await Promise.all(Array.from({ length: 40 }, (_, index) => pass((index % 2 ? app : other).get(ConcurrencyLimits))));
    const lastMs = times.at(-1)!;
    expect(lastMs).toBeGreaterThan(1_450); // thirty beyond the first ten, at twenty a second
    expect(lastMs).toBeLessThan(4_000);
    // In no second did more pass than ten and twenty; the answer takes its time, so a little later than they were taken.
    for (const from of times)
      expect(times.filter((at) => at >= from && at < from + 950).length).toBeLessThanOrEqual(32);
  });

  it('give turns in order', async () => {
    await limits.create('mail', { limit: 1, slotDecayPerSecond: 10 });
    await limits.rateLimit('mail');
    const order: number[] = [];
    const all: Promise<unknown>[] = [];
    for (let index = 0; index < 5; index += 1) {
      all.push(
        (index % 2 ? app : other)
          .get(ConcurrencyLimits)
          .rateLimit('mail')
          .then(() => order.push(index)),
      );
      await waitFor(async () => (await limits.get('mail')).waiting + order.length === index + 1);
    }
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  it('are asked for by name, and with an end [G04] [G08]', async () => {
    await limits.create('slow', { limit: 1, slotDecayPerSecond: 0.001 });
    await limits.create('plain', { limit: 1 });
    await limits.rateLimit('slow');
    await expect(limits.rateLimit('slow', { timeout: '50ms' })).rejects.toMatchObject({ code: 'CONCURRENCY_TIMEOUT' });
    await expect(limits.rateLimit('slow', { timeout: 0 })).rejects.toMatchObject({ code: 'CONCURRENCY_TIMEOUT' });
    await expect(limits.rateLimit(['slow', 'plain'])).rejects.toMatchObject({ code: 'NO_SLOT_DECAY', limit: 'plain' });
    await expect(limits.rateLimit('unheard of', { strict: true })).rejects.toMatchObject({
      code: 'UNKNOWN_CONCURRENCY_LIMIT',
    });
    await limits.rateLimit('unheard of');
    expect(await app.get(ConcurrencyLeases).pass({ limits: 'slow' })).toMatchObject({ kind: 'refused', limit: 'slow' });
    const again = (await app.get(ConcurrencyLeases).pass({ limits: 'slow' })) as { retryAfterMs: number };
    expect(again.retryAfterMs).toBeGreaterThan(690_000); // a thousand seconds, give or take
  });

  it('give back what has not decayed when they were held', async () => {
    await limits.create('a', { limit: 2, slotDecayPerSecond: 0.0001 });
    await limits.concurrency('a', 2, async () => expect((await limits.get('a')).activeSlots).toBe(2));
    expect(await limits.get('a')).toMatchObject({ activeSlots: 0 });
    await limits.rateLimit('a');
    await limits.concurrency('a', 1, async () => expect((await limits.get('a')).activeSlots).toBe(2));
    expect(await limits.get('a')).toMatchObject({ activeSlots: 1 });
  });

  it('are not waited for again by a run that begins again', async () => {
    await limits.create('slow', { limit: 1, slotDecayPerSecond: 0.001 });
    const second = await startApp({ url: database.url, app: 'rates again', drain: '10ms', providers: [Stage] });
    const stage = second.get(Stage);
    stage.script = async () => {
      await rateLimit('slow');
      await stage.act('first');
      return new Promise(() => undefined);
    };
    const { id } = await second.get(Flows).start(Stage, 'play', undefined);
    await waitFor(() => stage.performed.length === 1);
    await second.close();
    const third = await startApp({ url: database.url, app: 'rates again', providers: [Stage] });
    third.get(Stage).script = async () => {
      await rateLimit('slow'); // it would take a thousand seconds
      return third.get(Stage).act('first');
    };
    try {
      expect(await third.get(FlowRuns).result(id, { timeout: '10s' })).toMatch(/^act\(first\)/);
    } finally {
      await third.close();
    }
  });

  describe('by arithmetic', () => {
    let client: Client;
    beforeAll(async () => {
      client = new Client({ connectionString: database.url });
      await client.connect();
    });
    afterAll(() => client.end());

    const left = async (slots: number, perSecond: number, us: number): Promise<number> => {
      const { rows } = await client.query<{ left: number }>(
        `select nestor.concurrency_after_decay($1, $2, '2026-01-01', '2026-01-01'::timestamptz + $3::bigint * interval '1 us') as left`,
        [slots, perSecond, us],
      );
      return rows[0]!.left;
    };
    const slots = fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1e6, noNaN: true }));
    const perSecond = fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1e4, noNaN: true }));
    const us = fc.integer({ min: 0, max: 86_400_000_000 });

    it('decay as they should, and never below none', () =>
      fc.assert(
        fc.asyncProperty(slots, perSecond, us, async (count, rate, time) => {
          const expected = Math.max(0, count - rate * (time / 1e6));
          expect(await left(count, rate, time)).toBeCloseTo(expected, 3);
        }),
        { numRuns: 100 },
      ));

    it('do not decay when the clock goes back', () =>
      fc.assert(
        fc.asyncProperty(slots, perSecond, us, async (count, rate, time) => {
          expect(await left(count, rate, -time)).toBe(count);
        }),
        { numRuns: 30 },
      ));

    it('decay as much in two steps as in one', () =>
      fc.assert(
        fc.asyncProperty(slots, perSecond, us, us, async (count, rate, one, two) => {
          const inSteps = await left(await left(count, rate, one), rate, two);
          expect(inSteps).toBeCloseTo(await left(count, rate, one + two), 3);
        }),
        { numRuns: 50 },
      ));

    it('never let more through in a stretch of time than the limit and what decays in it', () =>
      fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 5 }),
          fc.double({ min: 0.5, max: 50, noNaN: true }),
          fc.array(
            fc.record({ afterUs: fc.integer({ min: 0, max: 400_000 }), wanted: fc.integer({ min: 1, max: 5 }) }),
            {
              maxLength: 30,
            },
          ),
          async (limit, rate, requests) => {
            await client.query(`delete from nestor.concurrency_limit`);
            await client.query(
              `insert into nestor.concurrency_limit (id, name, "limit", slot_decay_per_second)
               values (gen_random_uuid(), 'p', $1, $2)`,
              [limit, rate],
            );
            const taken: { at: number; count: number }[] = [];
            let at = 0;
            for (const { afterUs, wanted } of requests) {
              at += afterUs;
              const { rows } = await client.query<{ outcome: string }>(
                `select outcome from nestor.concurrency_acquire(
                   gen_random_uuid(), array['p'], $1, true, true, false, null, null, null, null, null, $2)`,
                [wanted, at],
              );
              const { outcome } = rows[0]!;
              expect(['granted', 'refused', 'too-many']).toContain(outcome);
              if (outcome === 'granted') taken.push({ at, count: wanted });
            }
            for (const [from, { at: start }] of taken.entries()) {
              let count = 0;
              for (const { at: end, count: more } of taken.slice(from)) {
                count += more;
                // What the statements take by themselves decays as well: they are counted as if all had taken their longest.
                expect(count).toBeLessThanOrEqual(limit + (rate * (end - start + 2_000_000)) / 1e6);
              }
            }
          },
        ),
        { numRuns: 20 },
      ));
  });
});
