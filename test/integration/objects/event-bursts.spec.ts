import { randomBytes } from 'node:crypto';
import { Events, Flows } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

const RESOURCE = { id: 'shop.order.1' };

/** An id of our own making, such as a client makes that may send an event again. */
const idOf = (index: number): string => `0199c3d2-5b7e-7000-8000-${String(index).padStart(12, '0')}`;

describe('events in great numbers', () => {
  let database: TestDatabase;
  beforeAll(async () => void (database = await testDatabase()));
  afterAll(() => database.drop());

  interface Stored {
    readonly events: number;
    readonly ids: number;
    /** Each batch has a time of its own. */
    readonly batches: number;
  }
  const stored = async (event: string): Promise<Stored> => {
    const [row] = await sql<Stored>(
      database,
      `select count(*)::int as events, count(distinct id)::int as ids, count(distinct recorded)::int as batches
         from nestor.event where event = $1`,
      [event],
    );
    return row!;
  };

  it('are stored in batches, each id once, whoever says it how often [S21]', async () => {
    const [one, other] = await Promise.all([startApp({ url: database.url }), startApp({ url: database.url })]);
    const emit = (events: Events, index: number): Promise<string> =>
      events.emit({ event: 'told', resource: RESOURCE, id: idOf(index) });
    // Three times each: twice by the same process, in the same batch or another, and by another process in another order.
    const emissions = Array.from({ length: 3_000 }, (_, index) => [
      emit(one.get(Events), index),
      emit(other.get(Events), 2_999 - index),
      emit(one.get(Events), (index * 7) % 3_000),
    ]);
    const ids = await Promise.all(emissions.flat());
    expect(new Set(ids).size).toBe(3_000);
    const { batches, ...counts } = await stored('told');
    expect(counts).toEqual({ events: 3_000, ids: 3_000 });
    expect(batches).toBeLessThan(100);

    await Promise.all([one.close(), other.close()]);
  });

  it('are all there after a burst of 50,000, from a run and from outside [S22]', async () => {
    const app = await startApp({ url: database.url, providers: [Stage] });
    const events = app.get(Events);
    const burst = (event: string, count: number): Promise<string[]> =>
      Promise.all(
        Array.from({ length: count }, (_, index) => events.emit({ event, resource: RESOURCE, payload: { index } })),
      );
    app.get(Stage).script = () => burst('within', 25_000).then(({ length }) => length);
    const run = await app.get(Flows).start(Stage, 'play');
    await burst('outside', 25_000);
    expect(await run.result({ timeout: '60s' })).toBe(25_000);
    for (const event of ['within', 'outside']) {
      const { batches, ...counts } = await stored(event);
      expect(counts).toEqual({ events: 25_000, ids: 25_000 });
      expect(batches).toBeLessThan(1_000);
    }
    await app.close();
  }, 90_000);

  it('are written when the application closes, though nobody awaited them [S22]', async () => {
    const app = await startApp({ url: database.url });
    const events = app.get(Events);
    const emissions = Array.from({ length: 10_000 }, () => events.emit({ event: 'last words', resource: RESOURCE }));
    await app.close();
    expect(await stored('last words')).toMatchObject({ events: 10_000 });
    await Promise.all(emissions);
  });

  it('of a run wait for a database that is away; from outside they fail with it [S22]', async () => {
    const proxy = await DatabaseProxy.start(database);
    const app = await startApp({ url: proxy.url, providers: [Stage] });
    const events = app.get(Events);
    const emit = (event: string): Promise<string[]> =>
      Promise.all(Array.from({ length: 2_000 }, () => events.emit({ event, resource: RESOURCE })));
    let isUnderWay = false;
    app.get(Stage).script = async () => {
      proxy.cut();
      const emission = emit('patient');
      isUnderWay = true;
      return (await emission).length;
    };
    const run = await app.get(Flows).start(Stage, 'play');
    await waitFor(() => isUnderWay);
    await expect(emit('impatient')).rejects.toMatchObject({ code: expect.any(String) });
    await proxy.restore();

    expect(await run.result({ timeout: '30s' })).toBe(2_000);
    expect(await stored('patient')).toMatchObject({ events: 2_000, ids: 2_000 });
    await app.close();
    proxy.close();
  }, 60_000);

  it('that the database refuses fail alone', async () => {
    const app = await startApp({ url: database.url });
    const events = app.get(Events);
    const id = randomBytes(8_000).toString('hex'); // longer than an entry of an index may be
    const emissions = Array.from({ length: 20 }, (_, index) =>
      events.emit({ event: 'told besides', resource: index === 7 ? { id } : RESOURCE }),
    );
    const outcomes = await Promise.allSettled(emissions);
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual(outcomes.map((_, index) => index !== 7));
    expect(await stored('told besides')).toMatchObject({ events: 19 });
    await app.close();
  });
});
