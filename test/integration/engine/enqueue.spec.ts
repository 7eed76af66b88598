import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  currentRun,
  Flow,
  FlowRuns,
  Flows,
  InvalidDurationError,
  InvalidRunOptionError,
  NoTransactionError,
  UnserialisableValueError,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { DataSource, type EntityManager } from 'typeorm';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';

@Injectable()
class Reports {
  readonly written: unknown[] = [];

  @Flow({ name: 'report', tags: ['report'] })
  async write({ of, due }: { of: string; due?: Date }): Promise<string> {
    this.written.push(due ? [of, due] : of);
    return `${of} by ${currentRun().flowRunName}`;
  }

  @Flow()
  async count(from: number, to: number): Promise<number> {
    return to - from;
  }
}

describe('a flow run that is enqueued', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let reports: Reports;
  let flows: Flows;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Reports], app: 'reports' });
    reports = app.get(Reports);
    flows = app.get(Flows);
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => void reports.written.splice(0));

  it('is executed as soon as somebody has room, from SCHEDULED on', async () => {
    const run = await flows.with({ name: 'march', tags: ['by-hand'] }).enqueue(Reports, 'write', { of: 'sales' });
    expect(run.name).toBe('march');
    expect(await run.result({ timeout: '10s' })).toBe('sales by march');
    const { tags, states, parameters } = await app.get(FlowRuns).get(run.id);
    expect(tags).toEqual(['report', 'by-hand']);
    expect(parameters).toEqual({ of: 'sales' });
    expect(states[0]).toMatchObject({ type: 'SCHEDULED', name: 'Scheduled' });
    expect(states.at(-1)?.type).toBe('COMPLETED');
  });

  it('is executed by a process that did not enqueue it, and whose code alone has to be there', async () => {
    const elsewhere = await startApp({ url: database.url, providers: [Reports], app: 'elsewhere' });
    const run = await elsewhere.get(Flows).with({ in: '1s' }).enqueue(Reports, 'write', { of: 'stock' });
    await elsewhere.close();
    const third = await startApp({ url: database.url, providers: [Reports], app: 'elsewhere' });
    expect(await third.get(FlowRuns).result(run.id, { timeout: '10s' })).toBe(`stock by ${run.name}`);
    expect(reports.written).toEqual([]); // another application's
    await third.close();
  });

  it('gets its arguments as any run does, of whatever form', async () => {
    const due = new Date(86_400_000);
    const [one, two] = await Promise.all([
      flows.enqueue(Reports, 'write', { of: 'dates', due }),
      flows.enqueue(Reports, 'count', 3, 10),
    ]);
    expect([await one.result(), await two.result()]).toEqual([`dates by ${one.name}`, 7]);
    expect(reports.written).toEqual([['dates', due]]);
  });

  it('waits until it is due', async () => {
    const at = new Date(Date.now() + 700);
    const [soon, later] = await Promise.all([
      flows.with({ at }).enqueue(Reports, 'write', { of: 'soon' }),
      flows.with({ in: '1d' }).enqueue(Reports, 'write', { of: 'later' }),
    ]);
    await soon.result({ timeout: '10s' });
    const { startTime } = await app.get(FlowRuns).get(soon.id);
    expect(startTime! / 1_000).toBeGreaterThanOrEqual(at.getTime());
    expect(await app.get(FlowRuns).get(later.id)).toMatchObject({ stateType: 'SCHEDULED', startTime: null });
  });

  describe('with an idempotency key', () => {
    it('is created once, and found by whoever asks again: while it waits, and when it has ended [F24]', async () => {
      const queue = flows.with({ idempotencyKey: 'june', in: '300ms' });
      const first = await queue.enqueue(Reports, 'write', { of: 'june' });
      const again = await queue.enqueue(Reports, 'write', { of: 'June, once more' });
      expect([again.id, again.name]).toEqual([first.id, first.name]);
      expect(await first.result({ timeout: '10s' })).toBe(`june by ${first.name}`);
      expect((await queue.enqueue(Reports, 'write', { of: 'June, too late' })).id).toBe(first.id);
      expect(reports.written).not.toContain('June, too late');
    });

    it('is created once by many who ask at the same time, in several processes', async () => {
      const other = await startApp({ url: database.url, providers: [Reports], app: 'reports' });
      const asking = [app, other].flatMap((one) =>
        Array.from({ length: 20 }, () =>
          one.get(Flows).with({ idempotencyKey: 'race' }).enqueue(Reports, 'count', 1, 2),
        ),
      );
      const ids = new Set((await Promise.all(asking)).map(({ id }) => id));
      expect(ids.size).toBe(1);
      const rows = await sql(database, `select id from nestor.flow_run where idempotency_key = 'race'`);
      expect(rows).toHaveLength(1);
      await other.close();
    });

    it('counts for its flow alone', async () => {
      const queue = flows.with({ idempotencyKey: 'shared' });
      const one = await queue.enqueue(Reports, 'write', { of: 'a' });
      const other = await queue.enqueue(Reports, 'count', 0, 1);
      expect(one.id).not.toBe(other.id);
      expect(await other.result({ timeout: '10s' })).toBe(1);
    });
  });

  describe('together with many', () => {
    it('has a handle, in the order of the calls', async () => {
      const runs = await flows.enqueueAll(
        Reports,
        'count',
        Array.from({ length: 2_500 }, (_, n) => [0, n] as const),
      );
      expect(runs).toHaveLength(2_500);
      expect(await Promise.all([0, 999, 1_000, 2_499].map((n) => runs[n]!.result({ timeout: '60s' })))).toEqual([
        0, 999, 1_000, 2_499,
      ]);
    });

    it('is one run where calls share a key', async () => {
      const runs = await flows.with({ idempotencyKey: 'all the same' }).enqueueAll(Reports, 'count', [
        [1, 2],
        [1, 3],
      ]);
      expect(runs[0]!.id).toBe(runs[1]!.id);
      expect(await runs[1]!.result({ timeout: '10s' })).toBe(1);
    });

    it('is none where there is nothing to call', async () => {
      expect(await flows.enqueueAll(Reports, 'count', [])).toEqual([]);
    });
  });

  describe('within a transaction of the application', () => {
    let host: DataSource;

    beforeAll(async () => void (host = await new DataSource({ type: 'postgres', url: database.url }).initialize()));
    afterAll(() => host.destroy());

    it('is there after the commit, and not before', async () => {
      const run = await host.transaction(async (transaction) => {
        const enqueued = await flows.with({ transaction }).enqueue(Reports, 'write', { of: 'committed' });
        expect(await app.get(FlowRuns).find(enqueued.id)).toBeNull();
        return enqueued;
      });
      expect(await run.result({ timeout: '10s' })).toBe(`committed by ${run.name}`);
    });

    it('may be waited for before the commit', async () => {
      let result: Promise<string> | undefined;
      await host.transaction(async (transaction) => {
        const run = await flows.with({ transaction }).enqueue(Reports, 'write', { of: 'early' });
        await expect(run.result({ timeout: 50 })).rejects.toMatchObject({ code: 'WAIT_TIMED_OUT' });
        result = run.result({ timeout: '10s' });
      });
      expect(await result).toContain('early by ');
    });

    it('is not there for who waits, once the transaction is rolled back', async () => {
      let result: Promise<string> | undefined;
      const rolledBack = host.transaction(async (transaction) => {
        result = (await flows.with({ transaction }).enqueue(Reports, 'write', { of: 'lost' })).result({
          timeout: '10s',
        });
        result.catch(() => undefined);
        throw new Error('changed my mind');
      });
      await expect(rolledBack).rejects.toThrow('changed my mind');
      await expect(result).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    });

    it('is made by one statement together with many', async () => {
      const calls = Array.from({ length: 300 }, (_, n) => [0, n] as const);
      const runs = await host.transaction(async (transaction) => {
        const queue = flows.with({ transaction, in: '1h' });
        const enqueued = await queue.enqueueAll(Reports, 'count', calls);
        expect(await app.get(FlowRuns).find(enqueued[299]!.id)).toBeNull();
        return enqueued;
      });
      const [made] = await sql<{ runs: number; statements: number }>(
        database,
        `select count(*)::int as runs, count(distinct cmin::text)::int as statements
           from nestor.flow_run where id = any($1::uuid[])`,
        [runs.map(({ id }) => id)],
      );
      expect(made).toEqual({ runs: 300, statements: 1 });
      const { parameters } = await app.get(FlowRuns).get(runs[7]!.id);
      expect(parameters).toEqual({ 0: 0, 1: 7 });
    });

    it('is the same run for many with the same key', async () => {
      const calls = [
        [1, 2],
        [1, 3],
      ] as const;
      const runs = await host.transaction(async (transaction) => {
        const queue = flows.with({ transaction, idempotencyKey: 'many in one' });
        return [...(await queue.enqueueAll(Reports, 'count', calls)), await queue.enqueue(Reports, 'count', 1, 4)];
      });
      expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
      expect(await runs[2]!.result({ timeout: '10s' })).toBe(1);
    });

    it('is gone with a rollback, and so is its key', async () => {
      const enqueue = async (transaction: EntityManager): Promise<string> =>
        (await flows.with({ transaction, idempotencyKey: 'order 7' }).enqueue(Reports, 'write', { of: 'order 7' })).id;
      let lost = '';
      const rolledBack = host.transaction(async (transaction) => {
        lost = await enqueue(transaction);
        expect(await enqueue(transaction)).toBe(lost);
        throw new Error('changed my mind');
      });
      await expect(rolledBack).rejects.toThrow('changed my mind');
      await expect(app.get(FlowRuns).result(lost)).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
      const found = await host.transaction(enqueue);
      expect(found).not.toBe(lost);
      expect(await app.get(FlowRuns).result(found, { timeout: '10s' })).toContain('order 7');
      expect(reports.written).toEqual(['order 7']);
    });

    it('makes others with the same key wait until it is decided', async () => {
      const elsewhere = flows.with({ idempotencyKey: 'contended' });
      let waiting: Promise<{ readonly id: string }> | undefined;
      const first = await host.transaction(async (transaction) => {
        const run = await flows.with({ transaction, idempotencyKey: 'contended' }).enqueue(Reports, 'count', 1, 2);
        waiting = elsewhere.enqueue(Reports, 'count', 1, 2);
        // Nothing else waits for that.
        await (await flows.enqueue(Reports, 'count', 5, 6)).result({ timeout: '10s' });
        return run;
      });
      expect((await waiting)?.id).toBe(first.id);
    });

    it('is refused where there is none', async () => {
      const refused = flows.with({ transaction: host.manager }).enqueue(Reports, 'count', 1, 2);
      await expect(refused).rejects.toThrow(NoTransactionError);
      await expect(refused).rejects.toThrow(/flow "Reports.count"/);
    });
  });

  it.each<[string, object, new (...args: never[]) => Error]>([
    ['an empty key', { idempotencyKey: '' }, InvalidRunOptionError],
    ['a key that is too long', { idempotencyKey: 'k'.repeat(501) }, InvalidRunOptionError],
    ['a key with NUL', { idempotencyKey: 'a\0b' }, InvalidRunOptionError],
    ['a key that is no text', { idempotencyKey: 4711 }, InvalidRunOptionError],
    ['two times', { in: '1s', at: new Date() }, InvalidRunOptionError],
    ['no date', { at: new Date('never') }, InvalidRunOptionError],
    ['no duration', { in: 'soon' }, InvalidDurationError],
  ])('is refused with %s', (_, options, error) => {
    expect(() => flows.with(options)).toThrow(error);
  });

  it('is refused with arguments that cannot be kept', async () => {
    const unkeepable = { of: 'x', due: (() => undefined) as unknown as Date };
    await expect(flows.enqueue(Reports, 'write', unkeepable)).rejects.toThrow(UnserialisableValueError);
  });

  it('is not started at once by whoever takes options for one that waits', async () => {
    const options: object = { idempotencyKey: 'now' };
    await expect(flows.with(options).start(Reports, 'count', 1, 2)).rejects.toThrow(
      /Option "idempotencyKey" of a new run .*enqueued/,
    );
  });

  it('is enqueued once by a flow that goes on after a crash', async () => {
    const relay = new Relay(database);
    const gate = new Gate();
    const enqueueTwice = async (process: RelayProcess): Promise<void> => {
      const queue = process.get(Flows).with({ in: '1h', tags: ['twice'] });
      await queue.enqueue(Stage, 'play');
      await queue.enqueue(Stage, 'play');
    };
    const first = await relay.start('first', (stage) => {
      stage.script = async () => {
        await enqueueTwice(first);
        await gate.pass();
      };
    });
    const id = await first.begin('play');
    await gate.reached;
    await first.die();
    const second = await relay.start('second', (stage) => (stage.script = () => enqueueTwice(second)));
    await second.result(id);
    const rows = await sql(database, `select id from nestor.flow_run where tags ? 'twice'`);
    expect(rows).toHaveLength(2);
    gate.open();
    await relay.close();
  });
});
