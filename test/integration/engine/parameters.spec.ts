import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  currentRun,
  Flow,
  FlowNotRegisteredError,
  FlowRuns,
  Flows,
  InvalidParametersError,
  RunControl,
  RunTimeoutError,
  Task,
  type FlowRunWithHistory,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Type } from 'class-transformer';
import {
  IsArray,
  IsDate,
  IsInt,
  IsOptional,
  IsString,
  MaxLength,
  Min,
  ValidateBy,
  ValidateNested,
} from 'class-validator';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';

class Item {
  @IsString()
  @MaxLength(5)
  sku!: string;

  @IsInt()
  @Min(1)
  amount: number = 1;
}

class Order {
  @IsInt()
  id!: number;

  @ValidateNested({ each: true })
  @Type(() => Item)
  @IsArray()
  items!: Item[];

  @IsOptional()
  @IsDate()
  due?: Date;

  @IsDate()
  placed: Date = currentRun().now();
}

/** What waits for something else before it says whether a value is right. */
const check = { wait: async (): Promise<void> => undefined };

class Checked {
  @ValidateBy({
    name: 'isChecked',
    validator: {
      validate: async (value) => {
        await check.wait();
        return value === 'right';
      },
      defaultMessage: () => '$property is not right',
    },
  })
  value!: string;
}

class Plain {
  id!: number;
}

/** Flows that tell with what their code was called; the bodies are what a test says. */
@Injectable()
class Stage {
  readonly taken: unknown[] = [];
  body: (parameters: unknown) => Promise<unknown> = async () => undefined;

  @Flow({ name: 'order', retries: 2 })
  async order(order: Order): Promise<unknown> {
    return this.take(order);
  }

  @Flow({ name: 'careless', validateParameters: false })
  async careless(order: Order): Promise<unknown> {
    return this.take(order);
  }

  @Flow({ name: 'add' })
  async add(a: number, b?: number): Promise<number> {
    this.taken.push([a, b]);
    return a + (b ?? 1);
  }

  @Flow({ name: 'plain' })
  async plain(plain: Plain): Promise<unknown> {
    return this.take(plain);
  }

  @Flow({ name: 'checked' })
  async checked(checked: Checked): Promise<unknown> {
    return this.take(checked);
  }

  @Flow({ name: 'checked in time', timeout: '40ms' })
  async checkedInTime(checked: Checked): Promise<unknown> {
    return this.take(checked);
  }

  @Flow({ name: 'parent', retries: 1 })
  async parent(): Promise<unknown> {
    return this.body(undefined);
  }

  @Task()
  async weigh(item: Item): Promise<unknown> {
    return { item, isItem: item instanceof Item };
  }

  private async take(parameters: unknown): Promise<unknown> {
    this.taken.push(parameters);
    return this.body(parameters);
  }
}

/** What somebody sends who is not held to the types. */
const sent = (parameters: object): Order => parameters as Order;

describe('the parameters of a flow', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let stage: Stage;
  let runs: FlowRuns;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Stage] });
    stage = app.get(Stage);
    runs = app.get(FlowRuns);
  });
  beforeEach(() => {
    stage.taken.splice(0);
    stage.body = async () => undefined;
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const lastRun = async (): Promise<FlowRunWithHistory> => {
    const [run] = await runs.list({ limit: 1 });
    return runs.get(run!.id);
  };
  const refusalOf = async (call: Promise<unknown>): Promise<InvalidParametersError> => {
    const error: unknown = await call
      .then((value) => `It returned ${String(value)}.`)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidParametersError);
    return error as InvalidParametersError;
  };

  describe('that are wrong', () => {
    it('fail the run at once: its code is not run, and it is not tried again [F06]', async () => {
      const error = await refusalOf(stage.order(sent({ id: 'abc', items: [] })));
      expect(error.problems).toEqual([{ path: 'id', problem: 'must be an integer number' }]);
      expect(stage.taken).toEqual([]);

      const run = await lastRun();
      expect(run).toMatchObject({ stateType: 'FAILED', runCount: 1, parameters: { id: 'abc', items: [] } });
      expect(run.states.map(({ name }) => name)).toEqual(['Pending', 'Running', 'Failed']);
      expect(run.states.at(-1)!.message).toBe(`InvalidParametersError: ${error.message}`);
      await expect(runs.result(run.id)).rejects.toMatchObject({ code: 'INVALID_PARAMETERS', problems: error.problems });
    });

    it('are told with the path of each wrong field', async () => {
      const items = [{ sku: 'a' }, { sku: 'toolong' }, { sku: 'b', amount: 'none', colour: 'red' }, 5];
      const { problems } = await refusalOf(stage.order(sent({ items, due: 'soon' })));
      expect(problems.map(({ path }) => path).sort()).toEqual([
        ...['due', 'id', 'items[1].sku', 'items[2].amount', 'items[2].colour', 'items[3]'],
      ]);
    });

    it('are not repeated where everybody can read them', async () => {
      await refusalOf(stage.order(sent({ id: 'hunter2', items: 'hunter2' })));
      const { id } = await lastRun();
      const told = await sql(
        database,
        `select (select string_agg(message, ' ') from nestor.flow_run_state where flow_run_id = $1) as states,
                (select string_agg(message, ' ') from nestor.log where flow_run_id = $1) as lines`,
        [id],
      );
      expect(JSON.stringify(told)).toContain('must be');
      expect(JSON.stringify(told)).not.toContain('hunter2');
    });

    it('may be arguments', async () => {
      const { problems } = await refusalOf(stage.add('abc' as unknown as number));
      expect(problems).toEqual([{ path: '0', problem: 'must be a number and is a text' }]);
      expect(stage.taken).toEqual([]);
    });

    it('may be missing altogether', async () => {
      const { problems } = await refusalOf((stage.order as () => Promise<unknown>).call(stage));
      expect(problems.map(({ path }) => path)).toEqual(['id', 'items']);
    });

    it('fail a subflow, whose caller is tried again as after any other failure', async () => {
      const parents: string[] = [];
      stage.body = () => {
        parents.push(currentRun().flowRunId!);
        return stage.order(sent({ id: 'abc', items: [] }));
      };
      await expect(stage.parent()).rejects.toMatchObject({ code: 'INVALID_PARAMETERS', flowName: 'order' });

      expect(stage.taken).toEqual([]);
      expect(await stateNames(database, parents[0]!)).toEqual([
        ...['Pending', 'Running', 'AwaitingRetry', 'Running', 'Failed'],
      ]);
      const subflows = await sql(
        database,
        `select state_type, run_count from nestor.flow_run where root_flow_run_id = $1 and id <> $1`,
        [parents[0]],
      );
      expect(subflows).toEqual([
        { state_type: 'FAILED', run_count: 1 },
        { state_type: 'FAILED', run_count: 1 },
      ]);
    });

    it('fail a run in the background too, and a fork of it with others goes on', async () => {
      const { id } = await app.get(Flows).start(Stage, 'order', sent({ id: 'abc', items: [] }));
      await expect(runs.result(id)).rejects.toMatchObject({ code: 'INVALID_PARAMETERS' });

      stage.body = async (order) => (order as Order).id;
      const fork = await app.get(RunControl).fork(id, { parameters: { id: 7 } });
      expect(await runs.result(fork, { timeout: '15s' })).toBe(7);
    });
  });

  describe('that are right', () => {
    it('arrive converted, as instances of their classes [F06]', async () => {
      stage.body = async (order) => (order as Order).id + 1;
      const parameters = { id: '5', items: [{ sku: 7, amount: '2' }], due: '2026-11-25' };
      expect(await stage.order(sent(parameters))).toBe(6);

      const [order] = stage.taken as [Order];
      expect(order).toBeInstanceOf(Order);
      expect(order.items[0]).toBeInstanceOf(Item);
      expect(order).toMatchObject({ id: 5, items: [{ sku: '7', amount: 2 }], due: new Date('2026-11-25') });
      expect((await lastRun()).parameters).toEqual(parameters);
    });

    it('may be arguments', async () => {
      expect(await stage.add('5' as unknown as number)).toBe(6);
      expect(await stage.add('5' as unknown as number, '7' as unknown as number)).toBe(12);
      expect(stage.taken).toEqual([
        [5, undefined],
        [5, 7],
      ]);
    });

    it('are checked again for every attempt, and come out the same', async () => {
      let attempts = 0;
      stage.body = async () => {
        if (++attempts < 3) throw new Error('not yet');
        return attempts;
      };
      expect(await stage.order(sent({ id: '5', items: [{ sku: 'a' }] }))).toBe(3);
      expect(stage.taken).toHaveLength(3);
      expect(stage.taken[1]).toEqual({ ...(stage.taken[0] as Order), placed: expect.any(Date) });
      expect(stage.taken[1]).toBeInstanceOf(Order);
    });
  });

  describe('of which nothing is known', () => {
    it('are handed on as they are: those of a class without rules', async () => {
      await stage.plain({ id: 'abc', more: true } as unknown as Plain);
      expect(stage.taken).toEqual([{ id: 'abc', more: true }]);
      expect(stage.taken[0]).not.toBeInstanceOf(Plain);
    });

    it('and those of a flow that wants no validation', async () => {
      await stage.careless(sent({ id: 'abc' }));
      expect(stage.taken).toEqual([{ id: 'abc' }]);
    });

    it('and those of a task', async () => {
      stage.body = () => stage.weigh({ sku: 5, amount: 'x' } as unknown as Item);
      expect(await stage.parent()).toEqual({ item: { sku: 5, amount: 'x' }, isItem: false });
    });
  });

  describe('whose rules take their time', () => {
    it('are waited for', async () => {
      const { problems } = await refusalOf(stage.checked({ value: 'wrong' }));
      expect(problems).toEqual([{ path: 'value', problem: 'is not right' }]);
      await stage.checked({ value: 'right' });
      expect(stage.taken).toEqual([{ value: 'right' }]);
    });

    it('count as part of the attempt: one that has timed out does not begin', async () => {
      const gate = new Gate();
      check.wait = () => gate.pass();
      await expect(stage.checkedInTime({ value: 'right' })).rejects.toThrow(RunTimeoutError);
      expect(await stateNames(database, (await lastRun()).id)).toEqual(['Pending', 'Running', 'TimedOut']);
      gate.open();
      await gate.pass();
      check.wait = async () => undefined;
      await stage.add(1);
      expect(stage.taken).toEqual([[1, undefined]]);
    });
  });

  describe('as a schema', () => {
    it('can be looked up by the method', () => {
      expect(app.get(Flows).parameterSchema(Stage, 'order')).toMatchObject({
        title: 'Parameters',
        type: 'object',
        properties: {
          id: { position: 0, title: 'id', type: 'integer' },
          items: { position: 1, type: 'array', items: { allOf: [{ $ref: '#/definitions/Item' }] } },
          due: { position: 2, type: 'string', format: 'date-time' },
        },
        definitions: {
          Item: { required: ['sku'], properties: { amount: { type: 'integer', minimum: 1, default: 1 } } },
        },
      });
      expect(app.get(Flows).parameterSchema(Stage, 'add').properties).toEqual({
        0: { position: 0, title: '0', type: 'number' },
        1: { position: 1, title: '1', type: 'number' },
      });
      expect(() => app.get(Flows).parameterSchema(Stage, 'weigh')).toThrow(FlowNotRegisteredError);
    });
  });

  it('are the same instances when the run is resumed', async () => {
    const gate = new Gate();
    const seen: unknown[] = [];
    const play = async (order: unknown): Promise<unknown> => {
      seen.push(order);
      const recorded = (await stage.weigh((order as Order).items[0]!)) as object;
      if (seen.length === 1) await gate.pass();
      return recorded;
    };
    stage.body = play;
    const { id } = await app.get(Flows).start(Stage, 'order', sent({ id: '5', items: [{ sku: 'a', amount: '3' }] }));
    await gate.reached;
    await app.get(RunControl).suspend(id);
    gate.open();
    await app.get(RunControl).resume(id);
    await runs.result(id, { timeout: '15s' });

    expect(seen).toHaveLength(2);
    expect(seen[1]).toBeInstanceOf(Order);
    expect(seen[1]).toEqual(seen[0]);
    expect(await taskRunsOf(database, id)).toHaveLength(1);
  });
});
