import { Injectable } from '@nestjs/common';
import { currentRun, Flow, Task, type RunRecording } from '@nestor/orchestrator';
import { createTestingOrchestrator, type TestDatabase, type TestingOrchestrator } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';

/** A flow as it was when the run was recorded, and what became of its code since. */
type Code = (shop: Shop, order: { items: string[] }) => Promise<unknown>;

@Injectable()
class Shop {
  code: Code = original;
  readonly gate = new Gate();
  readonly done: string[] = [];

  @Flow({ name: 'order' })
  async order(order: { items: string[] }): Promise<unknown> {
    return this.code(this, order);
  }

  @Flow({ name: 'order anew' })
  async orderAnew(order: { items: string[] }): Promise<unknown> {
    return this.code(this, order);
  }

  @Task()
  async reserve(item: string): Promise<{ item: string; at: Date }> {
    this.done.push(`reserve ${item}`);
    return { item, at: new Date(0) };
  }

  @Task()
  async charge(items: number): Promise<bigint> {
    this.done.push(`charge ${items}`);
    return BigInt(items) * 100n;
  }

  @Task()
  async refuse(item: string): Promise<void> {
    throw new RangeError(`no ${item}`);
  }

  @Task()
  async hang(): Promise<void> {
    await this.gate.pass();
  }

  @Flow({ name: 'ship' })
  async ship(item: string): Promise<string> {
    await this.reserve(item);
    return `shipped ${item}`;
  }
}

async function original(shop: Shop, { items }: { items: string[] }): Promise<unknown> {
  const reserved = await Promise.all(items.map((item) => shop.reserve(item)));
  const total = await shop.charge(items.length);
  const refused = await shop.refuse('gifts').catch((error: Error) => error.message);
  return {
    dates: reserved.map(({ at }) => at),
    total,
    refused,
    shipped: await shop.ship('all'),
    at: currentRun().now(),
  };
}

describe('a recorded run', () => {
  let database: TestDatabase;
  let nestor: TestingOrchestrator;
  let shop: Shop;

  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(async () => {
    nestor = await createTestingOrchestrator({ providers: [Shop], database, logger: false });
    shop = nestor.get(Shop);
  });
  afterEach(async () => {
    shop.gate.open();
    await nestor.close();
  });

  /** What was recorded, after a way through a file. */
  const recorded = async (code: Code = original): Promise<RunRecording> => {
    shop.code = code;
    await shop.order({ items: ['a', 'b'] }).catch(() => undefined);
    const recording = await nestor.exportRun(await nestor.latestRun('order'));
    shop.done.length = 0;
    return JSON.parse(JSON.stringify(recording)) as RunRecording;
  };
  const countRuns = (): Promise<unknown> =>
    sql(
      database,
      `select (select count(*) from nestor.flow_run) as flows, (select count(*) from nestor.task_run) as tasks,
                          (select count(*) from nestor.run_value) as values, (select count(*) from nestor.flow_run_state) as states`,
    );

  it('says what the flow took, what its calls came to and how it ended', async () => {
    expect(await recorded()).toMatchObject({
      format: 1,
      flow: 'order',
      run: { attempt: 1 },
      parameters: { items: ['a', 'b'] },
      calls: [
        { task: 'Shop.reserve', outcome: 'completed', isOfThisAttempt: true },
        { task: 'Shop.reserve', outcome: 'completed' },
        { task: 'Shop.charge', outcome: 'completed' },
        { task: 'Shop.refuse', outcome: 'failed' },
        { task: 'flow:ship', outcome: 'completed', value: 'shipped all' },
      ],
      outcome: { kind: 'returned' },
    });
  });

  it('is found the same by the same code, which executes nothing and writes nothing', async () => {
    const recording = await recorded();
    const before = await countRuns();
    expect(await nestor.replayRun(recording)).toEqual({
      flow: 'order',
      newCalls: [],
      missingCalls: [],
      outcome: 'same',
      differences: [],
    });
    expect(shop.done).toEqual([]);
    expect(await countRuns()).toEqual(before);
  });

  it('is found the same where the flow goes by another name today', async () => {
    const report = await nestor.replayRun(await recorded(), Shop, 'orderAnew');
    expect(report.differences).toEqual([]);
  });

  it('that failed is found to fail the same', async () => {
    const recording = await recorded(async (own) => own.refuse('everything'));
    expect(recording.outcome).toMatchObject({ kind: 'threw' });
    expect(await nestor.replayRun(recording)).toMatchObject({ outcome: 'same', differences: [] });
  });

  it('in flight is replayed as far as it got', async () => {
    shop.code = async (own) => [await own.reserve('a'), await own.hang(), await own.charge(1)];
    const run = await nestor.flows.start(Shop, 'order', { items: [] });
    await shop.gate.reached;
    const recording = await nestor.exportRun(run);
    expect(recording).toMatchObject({
      calls: [
        { task: 'Shop.reserve', outcome: 'completed' },
        { task: 'Shop.hang', outcome: 'open', value: null },
      ],
      outcome: null,
    });
    expect(await nestor.replayRun(recording)).toMatchObject({ outcome: 'open', differences: [] });
    shop.gate.open();
    await run.result();
  });

  it.each<[string, Code, object, string]>([
    [
      'a call that is new',
      async (own, order) => {
        await own.reserve('c');
        return original(own, order);
      },
      { newCalls: [{ task: 'Shop.reserve', inputs: "('c')", name: null }], outcome: 'open' },
      `"Shop.reserve" is called with ('c'), which is not recorded.`,
    ],
    [
      'a call with other inputs',
      async (own, { items }) => {
        await Promise.all(items.map((item) => own.reserve(item)));
        await own.charge(items.length + 1);
      },
      { newCalls: [{ task: 'Shop.charge', inputs: '(3)', name: null }], outcome: 'open' },
      '"Shop.charge" is called with (3), which is not recorded.',
    ],
    [
      'a call that nobody makes any more',
      async (own, { items }) => {
        const shipped = [await own.ship('all'), await own.charge(items.length)];
        await own.refuse('gifts').catch(() => undefined);
        await own.reserve('a');
        return shipped;
      },
      { missingCalls: [{ task: 'Shop.reserve', inputs: null, name: expect.stringMatching(/^reserve-/) }] },
      '"Shop.reserve" is not called where reserve-',
    ],
    [
      'another result',
      async (own, order) => {
        const result = (await original(own, order)) as object;
        return { ...result, total: 7n };
      },
      { newCalls: [], missingCalls: [], outcome: 'different' },
      'The flow returned {',
    ],
    [
      'a failure in place of a result',
      async (own, order) => {
        await original(own, order);
        throw new Error('not any more');
      },
      { newCalls: [], missingCalls: [], outcome: 'different' },
      'The flow threw Error: not any more, where it returned {',
    ],
  ])('shows %s', async (_, code, report, sentence) => {
    const recording = await recorded();
    shop.code = code;
    const found = await nestor.replayRun(recording);
    expect(found).toMatchObject(report);
    expect(found.differences).toEqual(expect.arrayContaining([expect.stringContaining(sentence)]));
    expect(shop.done).toEqual([]);
  });

  it('is of its last attempt', async () => {
    shop.code = async (own) => {
      await own.reserve('a');
      await own.refuse('a');
    };
    const run = await nestor.flows.start(Shop, 'order', { items: [] });
    await expect(run.result()).rejects.toThrow('no a');
    shop.code = async (own) => [await own.reserve('a'), await own.charge(1)];
    await nestor.control.retry(run.id);
    await nestor.runs.result(run.id);
    const recording = await nestor.exportRun(run);
    expect(recording).toMatchObject({
      run: { attempt: 2 },
      calls: [
        { task: 'Shop.reserve', isOfThisAttempt: false },
        { task: 'Shop.charge', isOfThisAttempt: true },
      ],
    });
    expect(await nestor.replayRun(recording)).toMatchObject({ outcome: 'same', differences: [] });
  });

  it('that is none is refused', async () => {
    await expect(nestor.replayRun({ format: 2 } as never)).rejects.toMatchObject({ code: 'INVALID_RECORDING' });
    await expect(nestor.replayRun({ ...(await recorded()), flow: 'gone' })).rejects.toMatchObject({
      code: 'FLOW_NOT_REGISTERED',
    });
    await expect(nestor.exportRun('no-run')).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
  });
});
