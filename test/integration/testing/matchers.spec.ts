import { Injectable } from '@nestjs/common';
import { Flow, Task, type FlowRunHandle } from '@nestor/orchestrator';
import {
  createTestingOrchestrator,
  nestorMatchers,
  type TestDatabase,
  type TestingOrchestrator,
} from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';

expect.extend(nestorMatchers);

class OutOfStockError extends Error {
  override readonly name = 'OutOfStockError';

  constructor(readonly item: string) {
    super(`There is no ${item}.`);
  }
}

@Injectable()
class Shop {
  readonly gate = new Gate();

  @Flow({ name: 'order' })
  async order({ items }: { items: string[] }): Promise<void> {
    for (const item of items) await this.reserve({ item, count: 1 });
    await this.pack();
  }

  @Flow({ name: 'wait' })
  async wait(): Promise<void> {
    await this.gate.pass();
  }

  @Task()
  async reserve({ item }: { item: string; count: number }): Promise<void> {
    if (item === 'nothing') throw new OutOfStockError(item);
  }

  private packed = 0;
  @Task({ retries: 1 })
  async pack(): Promise<void> {
    if ((this.packed += 1) % 2 === 1) throw new Error('try again');
  }
}

describe('an assertion on a run', () => {
  let database: TestDatabase;
  let nestor: TestingOrchestrator;
  let shop: Shop;

  beforeAll(async () => {
    database = await testDatabase();
    nestor = await createTestingOrchestrator({ providers: [Shop], database, logger: false });
    shop = nestor.get(Shop);
  });
  afterAll(async () => {
    shop.gate.open();
    await nestor.close();
    await database.drop();
  });

  const started = (...items: string[]): Promise<FlowRunHandle<void>> => nestor.flows.start(Shop, 'order', { items });
  const messageOf = async (assertion: Promise<unknown>): Promise<string> =>
    assertion.then(
      () => 'it holds',
      (error: Error) => error.message,
    );

  it('takes its handle, a view and its id, and waits for it', async () => {
    const run = await started('a');
    await expect(run).toHaveCompleted();
    await expect(run.id).toHaveCompleted();
    await expect(await nestor.latestRun('order')).toHaveCompleted();
    await expect(run).not.toHaveFailedWith();
  });

  it('that it completed says what it did instead', async () => {
    const run = await started('a', 'nothing');
    await expect(run).not.toHaveCompleted();
    const message = await messageOf(expect(run).toHaveCompleted());
    expect(message).toMatch(
      /^Expected flow run "[\w-]+" to have completed\.\n\nFlow run "[\w-]+" of "order" is Failed\./,
    );
    expect(message).toContain('States: Pending → Running → Failed (OutOfStockError: There is no nothing.)');
    expect(message).toMatch(/Tasks:\n {2}reserve-\w+: Completed\n {2}reserve-\w+: Failed$/);
  });

  it('that it failed takes part of a message, a pattern, a class or fields', async () => {
    const run = await started('nothing');
    await expect(run).toHaveFailedWith();
    await expect(run).toHaveFailedWith('no nothing');
    await expect(run).toHaveFailedWith(/There is no \w+/);
    await expect(run).toHaveFailedWith(OutOfStockError);
    await expect(run).toHaveFailedWith({ name: expect.stringContaining('Stock') });
    await expect(run).not.toHaveFailedWith('no apples');
    await expect(run).not.toHaveFailedWith(TypeError);
    expect(await messageOf(expect(run).toHaveFailedWith(TypeError))).toMatch(
      /to have failed with TypeError\.\nIt failed with OutOfStockError: There is no nothing\./,
    );
  });

  it('which states it went through names them in order', async () => {
    const run = await started('a');
    await expect(run).toHaveStates(['Pending', 'Running', 'Completed']);
    await expect(run).not.toHaveStates(['Pending', 'Completed']);
    expect(await messageOf(expect(run).toHaveStates(['Completed']))).toContain('States: Pending → Running → Completed');
  });

  it('holds while it goes on, once it has come so far', async () => {
    const run = await nestor.flows.start(Shop, 'wait');
    await expect(run).toHaveStates(['Pending', 'Running']);
    expect(await messageOf(expect(run).toHaveCompleted({ within: '50ms' }))).toContain(
      'It has not ended: it goes on, or waits for a time or for somebody.',
    );
    shop.gate.open();
    await expect(run).toHaveCompleted();
  });

  it('which tasks it called counts calls, and compares what they were given', async () => {
    const run = await started('a', 'b', 'a');
    await expect(run).toHaveCalledTask('Shop.reserve');
    await expect(run).toHaveCalledTask('Shop.reserve', { times: 3 });
    await expect(run).toHaveCalledTask('Shop.reserve', { times: 2, args: [{ item: 'a', count: 1 }] });
    await expect(run).toHaveCalledTask('Shop.reserve', { args: [expect.objectContaining({ item: 'b' })] });
    await expect(run).toHaveCalledTask('Shop.pack', { times: 1 }); // however often it was tried
    await expect(run).not.toHaveCalledTask('Shop.charge');
    await expect(run).toHaveCalledTask('Shop.charge', { times: 0 });
    expect(await messageOf(expect(run).toHaveCalledTask('Shop.reserve', { args: ['c'] }))).toContain(
      `to have called "Shop.reserve" with ('c').\nIt was called 3 time(s): ({ item: 'a', count: 1 }), ({ item: 'b', count: 1 }), `,
    );
    expect(await messageOf(expect(run).toHaveCalledTask('Shop.charge'))).toContain(
      'It has called: Shop.reserve, Shop.pack.',
    );
    expect(await messageOf(expect(run).not.toHaveCalledTask('Shop.pack'))).toContain('not to have called "Shop.pack"');
  });

  it('on what is no run says what it takes', async () => {
    await expect(messageOf(expect(undefined).toHaveCompleted())).resolves.toContain('A flow run is expected here');
    await expect(messageOf(expect('0199-no-run').toHaveCompleted())).resolves.toContain('has a flow run 0199-no-run');
  });
});
