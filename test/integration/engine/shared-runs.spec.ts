import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  BatchResultError,
  Flow,
  FlowRuns,
  Flows,
  InvalidDurationError,
  InvalidRunOptionError,
  UnserialisableValueError,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { KeyedRuns } from '../../../libs/orchestrator/src/runtime/scheduling/keyed-runs.service.js';
import type { Transactions } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { makeDue } from '../deployments/support/deployed.js';

const HOUR_MS = 3_600_000;

@Injectable()
class Search {
  readonly performed: unknown[] = [];
  gate: Gate | null = null;

  @Flow({ name: 'index' })
  async index({ of }: { of: string }): Promise<string> {
    await this.gate?.pass();
    this.performed.push(of);
    return of;
  }

  @Flow({ name: 'locate' })
  async locateAll(addresses: readonly string[]): Promise<number[]> {
    await this.gate?.pass();
    this.performed.push(addresses);
    return addresses.map(({ length }) => length);
  }

  @Flow()
  async loseOne(items: readonly number[]): Promise<number[]> {
    return items.slice(1);
  }

  @Flow<Search['fail']>({ name: 'fail' })
  async fail(items: readonly number[]): Promise<number[]> {
    throw new RangeError(`${items.length} items`);
  }
}

describe('a run that calls share', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let other: INestApplicationContext;
  let search: Search;
  let flows: Flows;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Search], app: 'search' });
    other = await startApp({ url: database.url, providers: [Search], app: 'elsewhere' });
    search = app.get(Search);
    flows = app.get(Flows);
  });
  afterAll(async () => {
    await Promise.all([app.close(), other.close()]);
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => {
    search.performed.splice(0);
    search.gate = null;
  });

  /** Lets the time of a run come, which is far away: otherwise what is to happen before it would be a matter of speed. */
  const letTimeCome = async (id: string): Promise<void> => {
    await makeDue(database, [id]);
    app.get(RunClaimer).wake();
  };
  /** When a run is due, and when it was created. */
  const timesOf = async (id: string): Promise<{ due: Date; created: Date }> => {
    const [row] = await sql<{ due: Date; created: Date }>(
      database,
      'select next_scheduled_start_time as due, created from nestor.flow_run where id = $1',
      [id],
    );
    return row!;
  };

  describe('as a singleton', () => {
    const only = (key: string): ReturnType<typeof flows.with> => flows.with({ singleton: key });

    it('is the same while it waits or is executed, and another one after that', async () => {
      const gate = (search.gate = new Gate());
      const first = await only('a').enqueue(Search, 'index', { of: 'first' });
      await gate.reached;
      const meanwhile = await only('a').enqueue(Search, 'index', { of: 'meanwhile' });
      expect([meanwhile.id, meanwhile.name]).toEqual([first.id, first.name]);
      gate.open();
      await first.result({ timeout: '10s' });
      const after = await only('a').enqueue(Search, 'index', { of: 'after' });
      expect(after.id).not.toBe(first.id);
      expect(await after.result({ timeout: '10s' })).toBe('after');
      expect(search.performed).toEqual(['first', 'after']);
    });

    it('is one for many who ask at once, in several processes, and another one for another key', async () => {
      const gate = (search.gate = other.get(Search).gate = new Gate());
      const asking = [app, other].flatMap((one) =>
        Array.from({ length: 15 }, () => one.get(Flows).with({ singleton: 'b' }).enqueue(Search, 'index', { of: 'b' })),
      );
      const ids = new Set((await Promise.all(asking)).map(({ id }) => id));
      expect(ids.size).toBe(1);
      const another = await only('c').enqueue(Search, 'index', { of: 'c' });
      expect(ids.has(another.id)).toBe(false);
      gate.open();
      await another.result({ timeout: '10s' });
      other.get(Search).gate = null;
    });
  });

  describe('of many calls with the same options', () => {
    const statesOf = async (id: string): Promise<number> =>
      (await app.get(FlowRuns).get(id)).states.filter(({ type }) => type === 'SCHEDULED').length;

    it('is the same for all of them', async () => {
      const gate = (search.gate = new Gate());
      const calls = Array.from({ length: 1_200 }, (_, n) => [{ of: `${n}` }] as const);
      const runs = await flows.with({ singleton: 'many' }).enqueueAll(Search, 'index', calls);
      expect(runs).toHaveLength(1_200);
      expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
      gate.open();
      expect(await runs[0]!.result({ timeout: '10s' })).toBe('0');
    });

    it('is called with the latest, and rescheduled once for all that come at a time', async () => {
      const calls = Array.from({ length: 500 }, (_, n) => [{ of: `${n}` }] as const);
      const runs = await flows.with({ debounce: { key: 'many', for: '1h' } }).enqueueAll(Search, 'index', calls);
      expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
      expect((await app.get(FlowRuns).get(runs[0]!.id)).parameters).toEqual({ of: '499' });
      expect(await statesOf(runs[0]!.id)).toBe(2);
    });
  });

  describe('as long as calls follow each other', () => {
    it('waits until it is quiet, and is called with the latest arguments', async () => {
      const queue = flows.with({ debounce: { key: 'typing', for: '1h' } });
      const runs = [];
      let lastCall = 0;
      for (const text of ['n', 'ne', 'nes', 'nest']) {
        lastCall = Date.now();
        runs.push(await queue.enqueue(Search, 'index', { of: text }));
      }
      const [{ id }] = runs as [(typeof runs)[0]];
      expect(new Set(runs.map((run) => run.id))).toEqual(new Set([id]));
      const { due } = await timesOf(id);
      expect(due.getTime()).toBeGreaterThanOrEqual(lastCall + HOUR_MS - 10); // our clock against that of the database
      expect(search.performed).toEqual([]);
      await letTimeCome(id);
      expect(await runs[0]!.result({ timeout: '10s' })).toBe('nest');
      expect(search.performed).toEqual(['nest']);
      const { states, parameters } = await app.get(FlowRuns).get(id);
      expect(parameters).toEqual({ of: 'nest' });
      expect(states.filter(({ type }) => type === 'SCHEDULED')).toHaveLength(4);
      const next = await queue.enqueue(Search, 'index', { of: 'nestor' });
      expect(next.id).not.toBe(id);
    });

    it('waits no longer than it may, however many follow', async () => {
      const queue = flows.with({ debounce: { key: 'busy', for: '1h', atMost: '1h' } });
      const first = await queue.enqueue(Search, 'index', { of: 'first' });
      await sql(database, `update nestor.flow_run set created = created - interval '40 minutes' where id = $1`, [
        first.id,
      ]);
      const second = await queue.enqueue(Search, 'index', { of: 'second' });
      expect(second.id).toBe(first.id);
      const { due, created } = await timesOf(first.id);
      expect(due.getTime() - created.getTime()).toBe(HOUR_MS);
      await letTimeCome(first.id);
      expect(await second.result({ timeout: '10s' })).toBe('second');
    });
  });

  describe('for a while', () => {
    it('is the same after its end, and another one when the time is over', async () => {
      const queue = flows.with({ throttle: { key: 'refresh', per: '1h' } });
      const first = await queue.enqueue(Search, 'index', { of: 'first' });
      await first.result({ timeout: '10s' });
      expect((await queue.enqueue(Search, 'index', { of: 'too soon' })).id).toBe(first.id);
      await sql(database, `update nestor.flow_run set created = created - interval '1 hour' where id = $1`, [first.id]);
      const second = await queue.enqueue(Search, 'index', { of: 'second' });
      expect(second.id).not.toBe(first.id);
      expect(await second.result({ timeout: '10s' })).toBe('second');
      expect(search.performed).toEqual(['first', 'second']);
    });
  });

  describe('as a batch', () => {
    it('is called once with what all of them gave, and gives each what is its own', async () => {
      const words = ['a', 'bb', 'ccc', 'dddd'];
      const asked = Date.now();
      const calls = await Promise.all(
        words.map((word) => flows.batch(Search, 'locateAll', word, { size: 100, within: '1h' })),
      );
      const [{ run }] = calls as [(typeof calls)[0]];
      expect(new Set(calls.map((call) => call.run.id))).toEqual(new Set([run.id]));
      expect((await timesOf(run.id)).due.getTime()).toBeGreaterThanOrEqual(asked + HOUR_MS - 10);
      expect(search.performed).toEqual([]);
      await letTimeCome(run.id);
      expect(await Promise.all(calls.map((call) => call.result({ timeout: '10s' })))).toEqual([1, 2, 3, 4]);
      expect(search.performed).toHaveLength(1);
      expect([...(search.performed[0] as string[])].sort()).toEqual(words);
    });

    it('begins at once when it is full; the next call begins another one', async () => {
      const options = { size: 2, within: '1h', key: 'pairs' } as const;
      const calls = [];
      for (const word of ['a', 'bb', 'ccc', 'dddd']) calls.push(await flows.batch(Search, 'locateAll', word, options));
      expect(await Promise.all(calls.map((call) => call.result({ timeout: '10s' })))).toEqual([1, 2, 3, 4]);
      expect(calls.map(({ index }) => index)).toEqual([0, 1, 0, 1]);
      expect(search.performed).toEqual(
        expect.arrayContaining([
          ['a', 'bb'],
          ['ccc', 'dddd'],
        ]),
      );
    });

    it('is written in few transactions when many come at once, and none of them writes what is there', async () => {
      const options = { size: 1_000, within: '1h', key: 'many' } as const;
      const first = await flows.batch(Search, 'locateAll', 'x'.repeat(1_000), options);
      const calls = await Promise.all(
        Array.from({ length: 400 }, (_, n) => flows.batch(Search, 'locateAll', `${n}`, options)),
      );
      expect(new Set([first, ...calls].map(({ run }) => run.id)).size).toBe(1);
      expect(calls.map(({ index }) => index).sort((a, b) => a - b)).toEqual(calls.map((_, n) => n + 1));
      const [row] = await sql<{ items: number; transactions: number; row: number }>(
        database,
        `select count(*)::int as items, count(distinct i.xmin::text)::int as transactions,
                max(length(r.parameters::text)) as row
           from nestor.flow_run_input i join nestor.flow_run r on r.id = i.flow_run_id
          where r.id = $1`,
        [first.run.id],
      );
      expect(row!.items).toBe(401);
      expect(row!.transactions).toBeLessThan(20);
      expect(row!.row).toBeLessThan(200);
      const { parameters } = await app.get(FlowRuns).get(first.run.id);
      expect(Object.values(parameters as object)[0]).toEqual(
        expect.arrayContaining(['x'.repeat(1_000), ...calls.map((_, n) => `${n}`)]),
      );
    });

    it('is written once where nobody heard of the commit', async () => {
      const { transactions } = app.get<{ transactions: Transactions }>(KeyedRuns);
      const { run } = transactions;
      jest.spyOn(transactions, 'run').mockImplementationOnce(async (work) => {
        await run.call(transactions, work);
        throw Object.assign(new Error('terminating connection'), { code: '57P01' });
      });
      const options = { size: 3, within: '1h', key: 'unheard' } as const;
      const words = ['a', 'bb', 'ccc'];
      const calls = await Promise.all(words.map((word) => flows.batch(Search, 'locateAll', word, options)));
      expect(await Promise.all(calls.map((call) => call.result({ timeout: '10s' })))).toEqual([1, 2, 3]);
      expect(search.performed).toEqual([words]);
    });

    it('is called with items of any form and size', async () => {
      const options = { size: 3, within: '1h', key: 'forms' } as const;
      const items = [new Date(7), 1n, 'x'.repeat(100_000)] as unknown as string[];
      const calls = await Promise.all(items.map((item) => flows.batch(Search, 'locateAll', item, options)));
      await calls[0]!.run.result({ timeout: '10s' });
      expect(search.performed).toEqual([items]);
    });

    it('refuses one that cannot be kept, and takes the others', async () => {
      const options = { size: 2, within: '1h', key: 'refusing' } as const;
      const items = ['a', (() => undefined) as unknown as string, 'bb'];
      const calls = items.map((item) => flows.batch(Search, 'locateAll', item, options));
      await expect(calls[1]).rejects.toThrow(UnserialisableValueError);
      const results = [calls[0]!, calls[2]!].map(async (call) => (await call).result({ timeout: '10s' }));
      expect(await Promise.all(results)).toEqual([1, 2]);
    });

    it('takes nothing more once somebody has begun it', async () => {
      const gate = (search.gate = new Gate());
      const options = { size: 10, within: 0, key: 'begun' };
      const first = await flows.batch(Search, 'locateAll', 'first', options);
      await gate.reached;
      const second = await flows.batch(Search, 'locateAll', 'second one', options);
      expect(second.run.id).not.toBe(first.run.id);
      gate.open();
      expect(await Promise.all([first.result(), second.result()])).toEqual([5, 10]);
    });

    it('keeps apart what has different keys', async () => {
      const within = '1h';
      const one = await flows.batch(Search, 'locateAll', 'x', { size: 3, within, key: 'one' });
      const two = await flows.batch(Search, 'locateAll', 'y', { size: 3, within, key: 'two' });
      expect(one.run.id).not.toBe(two.run.id);
    });

    it('fails for all of them where it fails', async () => {
      const calls = await Promise.all([1, 2].map((n) => flows.batch(Search, 'fail', n, { size: 2, within: '1h' })));
      for (const call of calls) await expect(call.result({ timeout: '10s' })).rejects.toThrow(/2 items/);
    });

    it('says so where it gives too little', async () => {
      const calls = await Promise.all([1, 2].map((n) => flows.batch(Search, 'loseOne', n, { size: 2, within: '1h' })));
      const outcomes = await Promise.allSettled(calls.map((call) => call.result({ timeout: '10s' })));
      const lost = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
      expect(lost).toHaveLength(1);
      expect(lost[0]!.reason).toBeInstanceOf(BatchResultError);
      expect(String(lost[0]!.reason)).toContain('returned 1 results, none for item 1');
    });

    it.each([
      ['no size', { size: 0, within: '1s' }, InvalidRunOptionError],
      ['half a size', { size: 1.5, within: '1s' }, InvalidRunOptionError],
      ['a size beyond the most', { size: 10_001, within: '1s' }, InvalidRunOptionError],
      ['no time', { size: 2, within: 'soon' as '1s' }, InvalidDurationError],
      ['a key with NUL', { size: 2, within: '1s', key: '\0' }, InvalidRunOptionError],
    ] as const)('is refused with %s', async (_, options, error) => {
      await expect(flows.batch(Search, 'locateAll', 'x', options)).rejects.toThrow(error);
    });
  });

  it.each([
    ['two ways to share', { singleton: 'a', throttle: { key: 'a', per: '1s' } }],
    ['a key besides', { singleton: 'a', idempotencyKey: 'a' }],
    ['a time besides', { singleton: 'a', in: '1s' }],
    ['no time to be quiet', { debounce: { key: 'a', for: 0 } }],
    ['an end before the quiet', { debounce: { key: 'a', for: '2s', atMost: '1s' } }],
    ['no time to be alone', { throttle: { key: 'a', per: 0 } }],
    ['an empty key', { singleton: '' }],
    ['a key that is ours', { idempotencyKey: 'nestor:singleton:a' }],
  ] as const)('is refused with %s', (_, options) => {
    expect(() => flows.with(options)).toThrow(InvalidRunOptionError);
  });
});
