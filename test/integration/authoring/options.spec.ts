import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, exponentialBackoff, Flow, FlowRuns, Task, withTags } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';

interface Order {
  readonly id: number;
  readonly customer: { readonly name: string };
}

class Declined extends Error {
  constructor(readonly isFinal: boolean) {
    super('declined');
  }
}

@Injectable()
class Shop {
  attempts = 0;
  fail: () => unknown = () => new Error('no luck');

  @Flow({ retries: 3, retryDelay: ['10ms', '20ms'] })
  async inSteps(): Promise<void> {
    throw this.failing();
  }

  @Flow({ retries: 3, retryDelay: (retries) => Array.from({ length: retries }, (_, index) => 10 * (index + 1)) })
  async inComputedSteps(): Promise<void> {
    throw this.failing();
  }

  @Flow({ retries: 3, retryDelay: exponentialBackoff({ from: '10ms' }) })
  async evenLater(): Promise<void> {
    throw this.failing();
  }

  @Task({ retries: 20, retryDelay: '10ms', retryJitter: 0.5 })
  async spread(): Promise<void> {
    throw this.failing();
  }

  @Flow<Shop['unlessFinal']>({ retries: 2, retryCondition: (error) => !(error as Declined).isFinal })
  async unlessFinal(_order: Order): Promise<void> {
    throw this.failing();
  }

  @Task<Shop['charge']>({
    retries: 2,
    retryCondition: async (error, { attempt, args: [order] }) => {
      if (error instanceof TypeError) throw new Error('The condition is broken.');
      return attempt < 2 && order.customer.name === 'Ada';
    },
  })
  async charge(_order: Order): Promise<void> {
    throw this.failing();
  }

  @Flow({
    tags: ['shop', 'money'],
    version: '2026.11',
    description: 'Sells.',
    runName: 'order {id} of {customer.name}',
  })
  async sell(order: Order): Promise<unknown> {
    const outer = currentRun().tags;
    const inner = await withTags(['gift', 'money'], () => this.pack(order.id));
    return { outer, inner, plain: await this.wrap() };
  }

  @Task<Shop['pack']>({ tags: ['box'], runName: (id) => `pack no. ${id + 1}`, version: '7' })
  async pack(_id: number): Promise<unknown> {
    return { name: currentRun().taskRunName, tags: currentRun().tags };
  }

  @Task()
  async wrap(): Promise<readonly string[]> {
    return currentRun().tags;
  }

  @Flow({ runName: '{0} and {1}' })
  async positional(_one: string, _other: number): Promise<string | null> {
    return currentRun().flowRunName;
  }

  private failing(): unknown {
    this.attempts += 1;
    return this.fail();
  }
}

describe('options', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let shop: Shop;
  const logger = new RecordingLogger();

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Shop], logger });
    shop = app.get(Shop);
  });
  beforeEach(() => {
    shop.attempts = 0;
    shop.fail = () => new Error('no luck');
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const runOf = async (table: 'flow_run' | 'task_run', name: string) => {
    const runs = await sql<{ id: string }>(
      database,
      `select * from nestor.${table} where name like $1 order by id desc limit 1`,
      [name],
    );
    return runs[0]!;
  };
  const latest = async (flow: string) => {
    const [run] = await sql<{ id: string }>(
      database,
      `select r.id from nestor.flow_run r join nestor.flow f on f.id = r.flow_id where f.name = $1 order by r.id desc`,
      [flow],
    );
    return run!.id;
  };
  const pausesOf = async (table: 'flow_run' | 'task_run', id: string): Promise<number[]> => {
    const rows = await sql<{ ms: number }>(
      database,
      `select extract(epoch from (state_details->>'scheduledTime')::timestamptz - timestamp)::float * 1000 as ms
         from nestor.${table}_state where ${table}_id = $1 and name = 'AwaitingRetry' order by timestamp`,
      [id],
    );
    return rows.map(({ ms }) => Math.round(ms));
  };

  it.each<[string, 'inSteps' | 'inComputedSteps' | 'evenLater', number[]]>([
    ['a list, whose last entry repeats', 'inSteps', [10, 20, 20]],
    ['a function of their number', 'inComputedSteps', [10, 20, 30]],
    ['exponential backoff', 'evenLater', [10, 20, 40]],
  ])('let a flow pause between attempts by %s [F07] [F08]', async (_, method, pauses) => {
    await expect(shop[method]()).rejects.toThrow('no luck');
    expect(shop.attempts).toBe(4);
    expect(await pausesOf('flow_run', await latest(`Shop.${method}`))).toEqual(pauses);
  });

  it('spread the pauses of a task by its jitter [T12]', async () => {
    await expect(shop.spread()).rejects.toThrow('no luck');
    const [run] = await sql<{ id: string }>(database, `select id from nestor.task_run where task_key = 'Shop.spread'`);
    const pauses = await pausesOf('task_run', run!.id);
    expect(pauses).toHaveLength(20);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(5);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(15);
    expect(new Set(pauses).size).toBeGreaterThan(3);
  });

  it.each([
    ['is final', true, 1],
    ['is not', false, 3],
  ])('let a condition decide whether a flow is tried again: the failure %s [F08]', async (_, isFinal, attempts) => {
    shop.fail = () => new Declined(isFinal);
    await expect(shop.unlessFinal({ id: 1, customer: { name: 'Ada' } })).rejects.toThrow('declined');
    expect(shop.attempts).toBe(attempts);
    const states = await stateNames(database, await latest('Shop.unlessFinal'));
    expect(states.at(-1)).toBe('Failed');
  });

  it.each([
    ['says no for these arguments', 'Bob', 1],
    ['says yes once', 'Ada', 2],
  ])('let a condition of a task see attempt and arguments: it %s [T13]', async (_, name, attempts) => {
    await expect(shop.charge({ id: 1, customer: { name } })).rejects.toThrow('no luck');
    expect(shop.attempts).toBe(attempts);
  });

  it('take a condition that throws for a no, and log why [T13]', async () => {
    shop.fail = () => new TypeError('odd');
    await expect(shop.charge({ id: 1, customer: { name: 'Ada' } })).rejects.toThrow('odd');
    expect(shop.attempts).toBe(1);
    expect(logger.lines.map(({ message }) => message).join()).toContain('The condition is broken.');
  });

  it('name, tag and version runs [F04] [F05] [T17] [T18]', async () => {
    const result = await withTags(['nightly'], () => shop.sell({ id: 7, customer: { name: 'Ada' } }));
    expect(result).toEqual({
      outer: ['shop', 'money', 'nightly'],
      inner: { name: 'pack no. 8', tags: ['box', 'nightly', 'gift', 'money'] },
      plain: ['nightly'],
    });
    const run = await runOf('flow_run', 'order 7 of Ada');
    expect(run).toMatchObject({ tags: ['shop', 'money', 'nightly'], flow_version: '2026.11' });
    expect(await runOf('task_run', 'pack no. 8')).toMatchObject({ task_version: '7', flow_run_id: run.id });
    const view = await app.get(FlowRuns).get(run.id);
    expect(view.name).toBe('order 7 of Ada');
  });

  it('name runs by the positions of several arguments', async () => {
    expect(await shop.positional('a', 2)).toBe('a and 2');
  });

  it('let the version of a flow follow from its source [F04]', async () => {
    await shop.positional('a', 2);
    const [run] = await sql<{ flow_version: string }>(
      database,
      'select flow_version from nestor.flow_run where id = $1',
      [await latest('Shop.positional')],
    );
    expect(run!.flow_version).toMatch(/^[0-9a-f]{12}$/);
  });
});
