import type { INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLeases, ConcurrencyLimits, type SlotLease, type SlotsRefused } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { leftovers, NOTHING } from './support/limits.js';

describe('slots under a lease', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let limits: ConcurrencyLimits;
  let leases: ConcurrencyLeases;
  const logger = new RecordingLogger();
  const start = () => startApp({ url: database.url, app: 'leases', logger });
  beforeAll(async () => {
    database = await testDatabase();
    app = await start();
    limits = app.get(ConcurrencyLimits);
    leases = app.get(ConcurrencyLeases);
  });
  afterEach(async () => {
    expect(await leftovers(database)).toEqual(NOTHING);
    await sql(database, 'delete from nestor.concurrency_limit');
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const granted = async (answer: Promise<SlotLease | SlotsRefused>): Promise<string> => {
    const given = await answer;
    if (given.kind !== 'granted') throw new Error(`Refused: ${given.limit}`);
    return given.leaseId;
  };
  const refused = async (answer: Promise<SlotLease | SlotsRefused>): Promise<number> => {
    const given = await answer;
    if (given.kind !== 'refused') throw new Error('Granted.');
    return given.retryAfterMs;
  };
  const runOut = (): Promise<unknown> =>
    sql(database, "update nestor.concurrency_claim set expires_at = clock_timestamp() - interval '1 second'");

  it('are held until it is released, which may be done twice, and shown with their holder [G05]', async () => {
    await limits.create('a', { limit: 2 });
    const holder = { type: 'flow_run', id: 'somewhere' };
    const id = await granted(leases.acquire({ limits: 'a', slots: 2, lease: '1m', holder }));
    const [slot] = await limits.slots('a');
    expect(slot).toMatchObject({ leaseId: id, holder, processId: null, flowRunId: null });
    expect(slot!.expiresAt! - slot!.since).toBeCloseTo(60_000_000, -5);
    expect(await leases.renew(id, '2h')).toBe(true);
    expect((await limits.slots('a'))[0]!.expiresAt! - slot!.since).toBeGreaterThan(7_000_000_000);
    await leases.release(id);
    await leases.release(id);
    expect(await leases.renew(id)).toBe(false);
    expect(await limits.get('a')).toMatchObject({ activeSlots: 0 });
  });

  it('are free a few seconds after it has run out, and go to who waits [S19] [G05]', async () => {
    await limits.create('a', { limit: 1 });
    const id = await granted(leases.acquire({ limits: 'a', lease: '1s' }));
    const began = performance.now();
    const next = limits.concurrency('a', 1, async () => performance.now() - began);
    expect(await next).toBeLessThan(15_000);
    expect(await next).toBeGreaterThan(900);
    expect(await leases.renew(id)).toBe(false);
    await leases.release(id);
  });

  it('cannot be renewed once it has run out, even before anybody has noticed [G05]', async () => {
    await limits.create('a', { limit: 1 });
    const id = await granted(leases.acquire({ limits: 'a' }));
    await runOut();
    expect(await leases.renew(id)).toBe(false);
    await waitFor(async () => (await limits.get('a')).activeSlots === 0);
  });

  it('are as they were when every process was started anew [S20]', async () => {
    await limits.create('a', { limit: 3 });
    const kept = await granted(leases.acquire({ limits: 'a', slots: 2 }));
    await app.close();
    app = await start();
    limits = app.get(ConcurrencyLimits);
    leases = app.get(ConcurrencyLeases);
    expect(await limits.get('a')).toMatchObject({ activeSlots: 2 });
    expect(await leases.renew(kept)).toBe(true);
    expect(await refused(leases.acquire({ limits: 'a', slots: 2 }))).toBeGreaterThan(0);
    await leases.release(kept);
    expect(await limits.get('a')).toMatchObject({ activeSlots: 0 });
  });

  it('are refused with a time after which to ask again, different for everybody [G03]', async () => {
    await limits.create('a', { limit: 2 });
    const held = await granted(leases.acquire({ limits: 'a', slots: 2 }));
    const times: number[] = [];
    for (let index = 0; index < 6; index += 1) times.push(await refused(leases.acquire({ limits: 'a' })));
    expect(new Set(times).size).toBe(6);
    // Two seconds by default for two slots: one second for each who was refused before, as far as those have not been served.
    expect(times[0]).toBeGreaterThan(690);
    expect(times[0]).toBeLessThan(1_310);
    expect(times[5]!).toBeGreaterThan(2_000);
    expect((await limits.get('a')).deniedSlots).toBeGreaterThan(3);
    await limits.create('tag:b', { limit: 1 });
    await sql(database, 'update nestor.concurrency_limit set avg_slot_occupancy_seconds = 1000, denied_slots = 0');
    const tagged = await granted(leases.acquire({ limits: 'tag:b' }));
    expect(await refused(leases.acquire({ limits: 'a' }))).toBeLessThanOrEqual(39_000);
    expect(await refused(leases.acquire({ limits: 'tag:b' }))).toBeLessThanOrEqual(13_000);
    await leases.release(held);
    await leases.release(tagged);
  });

  it('are to be asked for again sooner when they are held for less long [G10]', async () => {
    await limits.create('a', { limit: 1 });
    const hold = async (): Promise<void> => leases.release(await granted(leases.acquire({ limits: 'a' })));
    const averages: number[] = [];
    for (let index = 0; index < 8; index += 1) {
      await hold();
      averages.push((await limits.get('a')).averageOccupancyMs);
    }
    expect(averages).toEqual([...averages].sort((one, other) => other - one));
    expect(averages.at(-1)).toBeCloseTo(100, -1); // no less, however fast they come back
    const held = await granted(leases.acquire({ limits: 'a' }));
    expect(await refused(leases.acquire({ limits: 'a' }))).toBeLessThan(200);
    await leases.release(held);
  });

  it('are taken of all limits or of none [G02]', async () => {
    await limits.create('free', { limit: 1 });
    await limits.create('full', { limit: 1 });
    const held = await granted(leases.acquire({ limits: 'full' }));
    expect(await leases.acquire({ limits: ['free', 'full'] })).toMatchObject({ kind: 'refused', limit: 'full' });
    expect(await limits.get('free')).toMatchObject({ activeSlots: 0 });
    await leases.release(held);
  });

  it('may be of no limit at all: then there is a lease, and nothing is held', async () => {
    const given = (await leases.acquire({ limits: 'unheard of' })) as SlotLease;
    expect(given).toMatchObject({ kind: 'granted', limits: [] });
    expect(await leases.renew(given.leaseId)).toBe(true);
    await leases.release(given.leaseId);
  });

  it('of code are renewed by themselves, and when they are lost it is told [G06]', async () => {
    await limits.create('a', { limit: 1 });
    const expiry = async () => (await limits.slots('a'))[0]?.expiresAt ?? 0;
    const hold = (onLeaseLost: 'warn' | 'abort', until: (signal: AbortSignal) => Promise<unknown>) =>
      limits.concurrency('a', { leaseDuration: '1s', onLeaseLost }, ({ signal }) => until(signal));

    const kept = hold('abort', async () => {
      const before = await expiry();
      await waitFor(async () => (await expiry()) > before);
      await waitFor(async () => (await expiry()) > before + 1_400_000);
      return 'kept';
    });
    expect(await kept).toBe('kept');

    const warned = hold('warn', async (signal) => {
      await sql(database, 'delete from nestor.concurrency_claim');
      await waitFor(() => logger.lines.some(({ message }) => message.startsWith('Slots of "a" were lost')));
      return signal.aborted ? 'told' : 'goes on';
    });
    expect(await warned).toBe('goes on');

    const aborted = hold('abort', async (signal) => {
      await sql(database, 'delete from nestor.concurrency_claim');
      return new Promise((resolve) => signal.addEventListener('abort', resolve)).then(() => waitFor(() => false));
    });
    await expect(aborted).rejects.toMatchObject({ code: 'SLOTS_LOST', limits: ['a'] });
  });

  it('whose ids cannot be meant are refused', async () => {
    await expect(leases.renew('4711')).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    await expect(leases.release('4711')).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    expect(await leases.renew(newId())).toBe(false);
    await leases.release(newId());
    await expect(leases.acquire({ limits: 'a', lease: '10ms' })).rejects.toMatchObject({ code: 'INVALID_SLOT_OPTION' });
  });
});
