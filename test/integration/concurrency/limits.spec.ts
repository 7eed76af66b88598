import type { INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLimits } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { leftovers, NOTHING } from './support/limits.js';

describe('concurrency limits', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let limits: ConcurrencyLimits;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, app: 'limits', providers: [Stage] });
    limits = app.get(ConcurrencyLimits);
  });
  afterEach(() => sql(database, 'delete from nestor.concurrency_limit'));
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  /** Code that holds slots until the gate is opened. */
  const holding = async (name: string, slots = 1): Promise<{ gate: Gate; done: Promise<void> }> => {
    const gate = new Gate();
    const done = limits.concurrency(name, slots, () => gate.pass());
    await gate.reached;
    return { gate, done };
  };

  it('are created, changed, listed and deleted [G01]', async () => {
    const created = await limits.create('database', { limit: 3 });
    expect(created).toEqual({
      ...{ id: expect.any(String), name: 'database', limit: 3, active: true, slotDecayPerSecond: 0, activeSlots: 0 },
      ...{ waiting: 0, deniedSlots: 0, averageOccupancyMs: 2_000 },
      ...{ created: expect.any(Number), updated: expect.any(Number) },
    });
    expect(await limits.update('database', { limit: 5, slotDecayPerSecond: 0.5 })).toMatchObject({
      ...{ id: created.id, limit: 5, slotDecayPerSecond: 0.5, active: true },
    });
    expect(await limits.update('database', { name: 'db', slotDecayPerSecond: 0 })).toMatchObject({
      name: 'db',
      limit: 5,
    });
    await limits.create('aa', { limit: 0, active: false });
    await limits.create('c', { limit: 1 });
    expect((await limits.list()).map(({ name }) => name)).toEqual(['aa', 'c', 'db']);
    expect((await limits.list({ limit: 1, after: 'aa' })).map(({ name }) => name)).toEqual(['c']);
    expect(await limits.delete('db')).toBe(true);
    expect(await limits.delete('db')).toBe(false);
    expect(await limits.find('db')).toBeNull();
    await expect(limits.get('db')).rejects.toMatchObject({ code: 'CONCURRENCY_LIMIT_NOT_FOUND', limit: 'db' });
    await expect(limits.update('db', { limit: 1 })).rejects.toMatchObject({ code: 'CONCURRENCY_LIMIT_NOT_FOUND' });
    await expect(limits.update('aa', { name: 'c' })).rejects.toMatchObject({ code: 'CONCURRENCY_LIMIT_EXISTS' });
    await expect(limits.create('c', { limit: 2 })).rejects.toMatchObject({
      code: 'CONCURRENCY_LIMIT_EXISTS',
      limit: 'c',
    });
  });

  it.each<[string, string, object]>([
    ['no name', '', { limit: 1 }],
    ['a name with a NUL', 'a\0', { limit: 1 }],
    ['half a slot', 'a', { limit: 0.5 }],
    ['fewer slots than none', 'a', { limit: -1 }],
    ['slots that come in use by themselves', 'a', { limit: 1, slotDecayPerSecond: -1 }],
    ['slots that hardly decay', 'a', { limit: 1, slotDecayPerSecond: 1e-7 }],
    ['slots that decay at once', 'a', { limit: 1, slotDecayPerSecond: Infinity }],
  ])('with %s are refused', async (_, name, settings) => {
    await expect(limits.create(name, settings as { limit: number })).rejects.toMatchObject({
      code: 'INVALID_CONCURRENCY_LIMIT',
    });
    expect(await limits.list()).toEqual([]);
  });

  it('show which slots are in use, and who has them since when [W20]', async () => {
    await limits.create('a', { limit: 4 });
    const stage = app.get(Stage);
    const gate = new Gate();
    stage.perform = async () => limits.concurrency('a', 2, () => gate.pass());
    stage.script = () => stage.act();
    const run = stage.play();
    await gate.reached;
    const outside = await holding('a');
    const slots = await limits.slots('a');
    const [row] = await sql<{ id: string; task: string; process: string }>(
      database,
      `select r.id, t.id as task, r.process_id as process from nestor.flow_run r
         join nestor.task_run t on t.flow_run_id = r.id`,
    );
    const since = expect.any(Number) as number;
    const ofRun = {
      since,
      flowRunId: row!.id,
      taskRunId: row!.task,
      processId: row!.process,
      expiresAt: null,
      holder: null,
    };
    expect(slots).toEqual([
      { number: 1, leaseId: slots[0]!.leaseId, ...ofRun },
      { number: 2, leaseId: slots[0]!.leaseId, ...ofRun },
      { number: 3, leaseId: slots[2]!.leaseId, ...ofRun, flowRunId: null, taskRunId: null },
    ]);
    expect((await limits.get('a')).activeSlots).toBe(slots.length);
    expect(await limits.slots('a', { limit: 1, after: 2 })).toMatchObject([{ number: 3 }]);
    gate.open();
    await run;
    expect((await limits.slots('a')).map(({ number }) => number)).toEqual([3]); // numbers stay
    const next = await holding('a');
    expect((await limits.slots('a')).map(({ number }) => number)).toEqual([1, 3]); // the lowest that is free
    for (const { gate: one, done } of [outside, next]) {
      one.open();
      await done;
    }
  });

  it.each<[string, () => Promise<unknown>]>([
    ['is raised', () => limits.update('a', { limit: 2 })],
    ['is switched off', () => limits.disable('a')],
    ['is deleted', () => limits.delete('a')],
    ['is reset', () => limits.reset('a')],
  ])('let those who wait in when one %s', async (_, change) => {
    await limits.create('a', { limit: 1 });
    const { gate, done } = await holding('a');
    const waiting = holding('a');
    await waitFor(async () => (await limits.get('a')).waiting === 1);
    await change();
    const next = await waiting;
    for (const one of [gate, next.gate]) one.open();
    await Promise.all([done, next.done]);
    expect(await leftovers(database)).toEqual(NOTHING);
  });

  it('that are lowered wait until enough slots are given back', async () => {
    await limits.create('a', { limit: 2 });
    const [one, two] = [await holding('a'), await holding('a')];
    await limits.update('a', { limit: 1 });
    one.gate.open();
    await one.done;
    await expect(limits.concurrency('a', { timeout: 0 }, async () => 'too early')).rejects.toThrow();
    two.gate.open();
    await two.done;
    expect(await limits.concurrency('a', { timeout: 0 }, async () => 'now')).toBe('now');
  });

  it('that are lowered below what somebody waits for tell him so', async () => {
    await limits.create('a', { limit: 2 });
    const { gate, done } = await holding('a');
    const waiting = limits.concurrency('a', 2, async () => 'never');
    waiting.catch(() => undefined);
    await waitFor(async () => (await limits.get('a')).waiting === 1);
    await limits.update('a', { limit: 1 });
    await expect(waiting).rejects.toMatchObject({ code: 'TOO_MANY_SLOTS' });
    gate.open();
    await done;
  });

  it('hold again once they are switched on again', async () => {
    await limits.create('a', { limit: 1, active: false });
    expect(await limits.concurrency('a', 5, async ({ limits: held }) => held)).toEqual([]);
    await limits.enable('a');
    await expect(limits.concurrency('a', 5, async () => 'never')).rejects.toMatchObject({ code: 'TOO_MANY_SLOTS' });
  });

  it('that are reset have all their slots, whoever held them [G01]', async () => {
    await limits.create('a', { limit: 2 });
    const { gate, done } = await holding('a', 2);
    await limits.reset('a');
    expect(await limits.get('a')).toMatchObject({ activeSlots: 0 });
    expect(await limits.concurrency('a', { occupy: 2, timeout: 0 }, async () => 'free')).toBe('free');
    gate.open();
    await done; // what was taken away is not given back a second time
    expect(await limits.get('a')).toMatchObject({ activeSlots: 0, limit: 2 });
  });
});
