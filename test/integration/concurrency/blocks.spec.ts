import type { INestApplicationContext } from '@nestjs/common';
import { concurrency, ConcurrencyLimits } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { checkAtEveryCommit, leftovers, NOTHING } from './support/limits.js';

describe('code that holds slots', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let other: INestApplicationContext;
  let limits: ConcurrencyLimits;
  let stage: Stage;
  const logger = new RecordingLogger();
  beforeAll(async () => {
    database = await testDatabase();
    const options = { url: database.url, app: 'blocks', cancelGrace: '50ms' as const, logger, providers: [Stage] };
    [app, other] = await Promise.all([startApp(options), startApp(options)]);
    await checkAtEveryCommit(database);
    limits = app.get(ConcurrencyLimits);
    stage = app.get(Stage);
  });
  afterEach(async () => {
    await waitFor(async () => JSON.stringify(await leftovers(database)) === JSON.stringify(NOTHING));
    await sql(database, 'delete from nestor.concurrency_limit');
  });
  afterAll(async () => {
    await Promise.all([app.close(), other.close()]);
    await database.drop();
  });

  const inUse = async (name: string): Promise<number> => (await limits.get(name)).activeSlots;
  const waiting = async (name: string): Promise<number> => (await limits.get(name)).waiting;
  const inRun = (work: () => Promise<unknown>): Promise<unknown> => {
    stage.perform = work;
    return stage.act();
  };

  it('has them until it settles, while others wait', async () => {
    await limits.create('a', { limit: 1 });
    const gate = new Gate();
    const first = inRun(() => concurrency('a', async () => (await gate.pass(), 'done')));
    await gate.reached;
    const second = other.get(ConcurrencyLimits).concurrency('a', 1, async ({ limits: held }) => held);
    await waitFor(async () => (await waiting('a')) === 1);
    expect(await inUse('a')).toBe(1);
    gate.open();
    expect(await first).toBe('done');
    expect(await second).toEqual(['a']);
    expect(await inUse('a')).toBe(0);
  });

  it('gives them back when it throws', async () => {
    await limits.create('a', { limit: 1 });
    await expect(inRun(() => concurrency('a', () => Promise.reject(new Error('broken'))))).rejects.toThrow('broken');
    expect(await inUse('a')).toBe(0);
  });

  it('takes slots of several limits at once, or none of them [G02]', async () => {
    await limits.create('free', { limit: 3 });
    await limits.create('full', { limit: 2 });
    const gate = new Gate();
    const holder = limits.concurrency('full', 1, () => gate.pass());
    await gate.reached;
    const refused = limits.concurrency(['free', 'full'], { occupy: 2, timeout: 0 }, async () => 'never');
    await expect(refused).rejects.toMatchObject({ code: 'CONCURRENCY_TIMEOUT', limits: ['free', 'full'], slots: 2 });
    expect(await inUse('free')).toBe(0);
    const both = limits.concurrency(['free', 'full', 'free'], { occupy: 2 }, async ({ limits: held }) => {
      expect([await inUse('free'), await inUse('full')]).toEqual([2, 2]);
      return held;
    });
    await waitFor(async () => (await waiting('free')) === 1);
    expect(await inUse('free')).toBe(0);
    gate.open();
    expect(await both).toEqual(['free', 'full']);
    await holder;
  });

  it('comes in the order in which it asked, whichever process it is in', async () => {
    await limits.create('a', { limit: 1 });
    const gate = new Gate();
    const order: number[] = [];
    const holder = limits.concurrency('a', 1, () => gate.pass());
    await gate.reached;
    const all: Promise<unknown>[] = [];
    for (let index = 0; index < 12; index += 1) {
      const from = (index % 2 ? app : other).get(ConcurrencyLimits);
      all.push(from.concurrency('a', 1, async () => order.push(index)));
      await waitFor(async () => (await waiting('a')) === index + 1);
    }
    gate.open();
    await Promise.all([holder, ...all]);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('that wants much is not overtaken for ever by what wants little', async () => {
    await limits.create('a', { limit: 3 });
    const [one, two] = [new Gate(), new Gate()];
    const holders = [one, two].map((gate) => limits.concurrency('a', 1, () => gate.pass()));
    await Promise.all([one.reached, two.reached]);
    const order: string[] = [];
    const much = limits.concurrency('a', 3, async () => order.push('much'));
    await waitFor(async () => (await waiting('a')) === 1);
    // There is a slot, but it is kept for who came before.
    await expect(limits.concurrency('a', { timeout: 0 }, async () => order.push('at once'))).rejects.toThrow();
    const little = limits.concurrency('a', 1, async () => order.push('little'));
    await waitFor(async () => (await waiting('a')) === 2);
    one.open();
    two.open();
    await Promise.all([...holders, much, little]);
    expect(order).toEqual(['much', 'little']);
  });

  it('that waits for several limits does not hold up what needs only one of them, while that leaves enough', async () => {
    await limits.create('a', { limit: 2 });
    await limits.create('b', { limit: 1 });
    const [gate, later] = [new Gate(), new Gate()];
    const holder = limits.concurrency('b', 1, () => gate.pass());
    await gate.reached;
    const both = limits.concurrency(['a', 'b'], 1, async () => 'both');
    await waitFor(async () => (await waiting('a')) === 1);
    const passing = limits.concurrency('a', { timeout: '5s' }, () => later.pass());
    await later.reached;
    await expect(limits.concurrency('a', { timeout: 0 }, async () => 'third')).rejects.toThrow();
    gate.open();
    expect(await both).toBe('both');
    later.open();
    await Promise.all([holder, passing]);
  });

  it('is not executed when its slots do not come in time [G08]', async () => {
    await limits.create('a', { limit: 1 });
    const gate = new Gate();
    const holder = limits.concurrency('a', 1, () => gate.pass());
    await gate.reached;
    const executed: string[] = [];
    const work = async () => executed.push('it');
    const began = performance.now();
    const late = inRun(() => concurrency('a', { timeout: '1s' }, work));
    await expect(late).rejects.toMatchObject({ code: 'CONCURRENCY_TIMEOUT', timeoutMs: 1_000 });
    expect(performance.now() - began).toBeGreaterThan(990);
    await expect(limits.concurrency('a', { maxRetries: 0 }, work)).rejects.toMatchObject({
      code: 'CONCURRENCY_TIMEOUT',
      timeoutMs: null,
    });
    await sql(database, 'update nestor.concurrency_limit set avg_slot_occupancy_seconds = 0.1, denied_slots = 0');
    const patient = limits.concurrency('a', { maxRetries: 50 }, work);
    await waitFor(async () => (await limits.get('a')).deniedSlots > 0);
    expect(await waiting('a')).toBe(0); // who asks again does not stand in line
    gate.open();
    await Promise.all([holder, patient]);
    expect(executed).toEqual(['it']);
  });

  it('asks for what cannot be had, and is told so [G06]', async () => {
    await limits.create('a', { limit: 2 });
    await limits.create('closed', { limit: 0 });
    const work = async () => 'done';
    await expect(limits.concurrency('a', 3, work)).rejects.toMatchObject({
      code: 'TOO_MANY_SLOTS',
      limit: 'a',
      slots: 3,
    });
    await expect(limits.concurrency('closed', 1, work)).rejects.toMatchObject({ code: 'TOO_MANY_SLOTS' });
    await expect(limits.concurrency(['a', 'unheard of'], { strict: true }, work)).rejects.toMatchObject({
      code: 'UNKNOWN_CONCURRENCY_LIMIT',
      limits: ['unheard of'],
    });
    expect(await inRun(() => concurrency(['unheard of', 'a'], async ({ limits: held }) => held))).toEqual(['a']);
    expect(logger.lines.map(({ message }) => message)).toContain(
      'There is no concurrency limit "unheard of": what names it is not limited by it.',
    );
    expect(await inRun(() => concurrency('unheard of', async ({ limits: held }) => held))).toEqual([]);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['no names', () => concurrency([], async () => 1), 'names'],
    ['a name that is none', () => concurrency('', async () => 1), 'names'],
    ['half a slot', () => concurrency('a', 0.5, async () => 1), 'occupy'],
    ['no slots', () => concurrency('a', { occupy: 0 }, async () => 1), 'occupy'],
    ['fewer attempts than none', () => concurrency('a', { maxRetries: -1 }, async () => 1), 'maxRetries'],
    ['a lease that is over at once', () => concurrency('a', { leaseDuration: '10ms' }, async () => 1), 'leaseDuration'],
  ])('with %s is refused', async (_, call, option) => {
    await expect(inRun(call)).rejects.toMatchObject({ code: 'INVALID_SLOT_OPTION', option });
  });

  it('is told when its attempt is over, and keeps its slots for a while at most', async () => {
    await limits.create('a', { limit: 1 });
    const seen: string[] = [];
    stage.perform = () =>
      concurrency('a', ({ signal }) => {
        signal.addEventListener('abort', () => seen.push(String((signal.reason as { code?: string }).code)));
        return new Promise(() => undefined); // it does not listen
      });
    await expect(stage.actInTime()).rejects.toMatchObject({ code: 'RUN_TIMED_OUT' });
    await waitFor(async () => (await inUse('a')) === 0);
    expect(seen).toEqual(['RUN_ENDED']);
  });

  it('leaves the line when its attempt is over', async () => {
    await limits.create('a', { limit: 1 });
    const gate = new Gate();
    const holder = limits.concurrency('a', 1, () => gate.pass());
    await gate.reached;
    stage.perform = () => concurrency('a', async () => 'never');
    await expect(stage.actInTime()).rejects.toMatchObject({ code: 'RUN_TIMED_OUT' });
    await waitFor(async () => (await waiting('a')) === 0);
    gate.open();
    await holder;
  });

  it('says in events what it took and gave back [G11]', async () => {
    const { id } = await limits.create('a', { limit: 3 });
    const { id: otherId } = await limits.create('b', { limit: 2 });
    await inRun(() => concurrency(['a', 'b'], 2, async () => 'done'));
    const events = () =>
      sql<{ event: string; resource: object; related: Record<string, string>[]; id: string; follows: string }>(
        database,
        'select id, event, resource, related, follows from nestor.event where resource_id = $1 order by occurred, id',
        [`prefect.concurrency-limit.${id}`],
      );
    const [acquired, released] = await waitFor(async () => ((await events()).length === 2 ? events() : null));
    expect(acquired).toMatchObject({
      event: 'prefect.concurrency-limit.acquired',
      resource: { 'prefect.resource.name': 'a', 'slots-acquired': '2', limit: '3' },
      follows: null,
    });
    expect(acquired!.related).toContainEqual({
      'prefect.resource.id': `prefect.concurrency-limit.${otherId}`,
      'prefect.resource.role': 'concurrency-limit',
      'prefect.resource.name': 'b',
    });
    expect(acquired!.related.map((one) => one['prefect.resource.role'])).toContain('task-run');
    expect(released).toMatchObject({ event: 'prefect.concurrency-limit.released', follows: acquired!.id });
  });

  it('outside any run asks for the only application in its process', async () => {
    await expect(concurrency('a', async () => 'done')).rejects.toMatchObject({ code: 'ENGINE_AMBIGUOUS' });
  });
});
