import { Injectable, Logger, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Flow, FlowRuns, InvalidDurationError, Task, type FlowOptions, type TaskOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp, testModule } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Orders {
  @Flow({ name: 'nightly' })
  async close(): Promise<string> {
    return 'plain';
  }
}

@Injectable()
class Bills {
  @Flow({ name: 'nightly' })
  async close(): Promise<string> {
    return 'plain';
  }

  @Flow()
  async other(): Promise<string> {
    return 'plain';
  }
}

@Injectable()
class TwoTasks {
  @Task({ name: 'load' })
  async loadOrders(): Promise<void> {}

  @Task({ name: 'load' })
  async loadBills(): Promise<void> {}
}

function flowWith(options: FlowOptions): Type<object> {
  @Injectable()
  class Odd {
    @Flow(options)
    async run(): Promise<void> {}
  }
  return Odd;
}

function taskWith(options: TaskOptions): Type<object> {
  @Injectable()
  class Odd {
    @Task(options)
    async run(): Promise<void> {}
  }
  return Odd;
}

describe('an application that was created and not initialised', () => {
  let database: TestDatabase;
  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());

  it('runs its flows as ordinary methods, and says once that nothing is recorded', async () => {
    const warnings: string[] = [];
    const logger = { log: () => undefined, error: () => undefined, warn: (message: string) => warnings.push(message) };
    Logger.overrideLogger(logger);
    const app = await NestFactory.create(testModule({ url: database.url, providers: [Orders] }), new FastifyAdapter(), {
      logger,
      abortOnError: false,
    });
    const orders = app.get(Orders);
    expect([await orders.close(), await orders.close()]).toEqual(['plain', 'plain']);
    expect(warnings).toEqual([expect.stringMatching(/^Orders\.close was called before .* initialised.*app\.init\(\)/)]);

    await app.init();
    await orders.close();
    expect((await app.get(FlowRuns).list()).map((run) => run.flowName)).toEqual(['nightly']);
    await app.close();

    await orders.close();
    expect(warnings).toHaveLength(1);
  });
});

describe('an application whose flows cannot be meant', () => {
  let database: TestDatabase;
  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());

  const start = async (...providers: Type<object>[]): Promise<unknown> =>
    startApp({ url: database.url, app: 'refused', providers }).then(
      async (app) => {
        await app.close();
        throw new Error('It started.');
      },
      (error: unknown) => error,
    );

  it('does not start with two flows of one name, and names both', async () => {
    expect(await start(Orders, Bills)).toMatchObject({
      code: 'FLOW_REGISTERED_TWICE',
      places: ['Orders.close', 'Bills.close'],
      message: `Flow "nightly" is registered twice (Orders.close, Bills.close); give one of them another name: @Flow({ name: '…' }).`,
    });
  });

  it('does not start with two tasks of one name in a class, and names both', async () => {
    expect(await start(TwoTasks)).toMatchObject({
      code: 'TASK_REGISTERED_TWICE',
      message: `Task "TwoTasks.load" is registered twice (TwoTasks.loadOrders, TwoTasks.loadBills); give one of them another name: @Task({ name: '…' }).`,
    });
  });

  it.each(['a/b', '50%', 'a & b', '<a', 'a>', 'a\0b'])(
    'does not start with a flow of the name %s [F03]',
    async (name) => {
      const message = `Option "name" of Odd.run is ${JSON.stringify(name)} and must not contain any of / % & < > or NUL; use dashes.`;
      expect(await start(flowWith({ name }))).toMatchObject({ code: 'INVALID_OPTION', message });
      expect(await start(taskWith({ name }))).toMatchObject({ code: 'INVALID_OPTION', message });
    },
  );

  it.each(['', '  ', 'x'.repeat(201)])('does not start with a name that is empty or too long', async (name) => {
    expect(await start(flowWith({ name }))).toMatchObject({
      code: 'INVALID_OPTION',
      message: 'Option "name" of Odd.run must have 1 to 200 characters.',
    });
  });

  it.each([-1, 1.5, NaN, Infinity, '3' as never])('does not start with %p retries', async (retries) => {
    const message = `Option "retries" of Odd.run is ${retries} and must be a whole number from 0.`;
    expect(await start(flowWith({ retries }))).toMatchObject({ code: 'INVALID_OPTION', message });
    expect(await start(taskWith({ retries }))).toMatchObject({ code: 'INVALID_OPTION', message });
  });

  it.each<[string, Type<object>, string]>([
    ['a negative timeout', flowWith({ timeout: -1 }), 'timeout of Odd.run'],
    ['a timeout without a unit', taskWith({ timeout: '10' as never }), 'timeout of Odd.run'],
    ['an infinite delay', flowWith({ retryDelay: Infinity }), 'retryDelay of Odd.run'],
    [
      'a delay that is none in a list',
      taskWith(JSON.parse('{ "retryDelay": ["1s", "soon"] }')),
      'retryDelay of Odd.run',
    ],
  ])('does not start with %s, and says how to write a duration', async (_, provider, subject) => {
    const failure = await start(provider);
    expect(failure).toBeInstanceOf(InvalidDurationError);
    expect(failure).toMatchObject({ code: 'INVALID_DURATION', subject });
    expect((failure as Error).message).toMatch(new RegExp(`^The ${subject} is .*use milliseconds .* such as "90s"`));
  });

  it('does not start with a drain that is no duration', async () => {
    const failure: unknown = await startApp({ url: database.url, drain: 'long' as never }).catch((e: unknown) => e);
    expect(failure).toMatchObject({ code: 'INVALID_DURATION', subject: 'option "drain" of OrchestratorModule' });
  });

  it('registers nothing, not even what was in order', async () => {
    await start(Bills, Orders);
    expect(await sql(database, 'select name from nestor.flow')).toEqual([]);
    expect(await new Bills().other()).toBe('plain');
    expect(await new Orders().close()).toBe('plain');
  });

  it('leaves no connection open', async () => {
    await start(Bills, Orders);
    await waitFor(async () => {
      const rows = await sql(database, `select 1 from pg_stat_activity where application_name = 'nestor:refused'`);
      return rows.length === 0;
    }, 3_000);
  });

  it('may be corrected and started again in the same process', async () => {
    await start(Bills, Orders);
    const app = await startApp({ url: database.url, providers: [Bills] });
    expect(await app.get(Bills).other()).toBe('plain');
    await app.close();
  });
});

it('a class that two modules provide is registered once, and both instances are tracked', async () => {
  const database = await testDatabase();
  @Module({ providers: [Bills] })
  class First {}
  @Module({ providers: [Bills] })
  class Second {}
  const app = await startApp({ url: database.url, imports: [First, Second] });
  const instances = [First, Second].map((module) => app.select(module).get(Bills, { strict: true }));
  expect(instances[0]).not.toBe(instances[1]);
  for (const instance of instances) await instance.other();
  expect(await sql(database, 'select state_type from nestor.flow_run')).toEqual([
    { state_type: 'COMPLETED' },
    { state_type: 'COMPLETED' },
  ]);
  await app.close();
  await database.drop();
});
