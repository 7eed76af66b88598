// What tests may write, and what must not compile: checked by `npm run check:types`, never run.
import type { FlowRunHandle } from '@nestor/orchestrator';
import {
  createTestingOrchestrator,
  nestorMatchers,
  type NestorMatchers,
  type TestingOrchestrator,
} from '@nestor/testing';

class Shop {
  readonly city = 'Ulm';

  async order(sku: string): Promise<number> {
    return sku.length;
  }
}

expect.extend(nestorMatchers);

async function assertions(run: FlowRunHandle<number>): Promise<void> {
  await expect(run).toHaveCompleted({ within: '2s' });
  await expect(run).not.toHaveCompleted();
  await expect(run).toHaveFailedWith('message');
  await expect(run).toHaveFailedWith(/pattern/);
  await expect(run).toHaveFailedWith(RangeError);
  await expect(run).toHaveFailedWith({ code: 'OUT_OF_STOCK' });
  await expect(run).toHaveStates(['Pending', 'Running']);
  await expect(run).toHaveCalledTask('Shop.charge', { times: 2, args: ['A-7', expect.any(Number)] });

  // @ts-expect-error states are told by name, in a list
  await expect(run).toHaveStates('Completed');
  // @ts-expect-error which task has to be said
  await expect(run).toHaveCalledTask();
  // @ts-expect-error how often is a number
  await expect(run).toHaveCalledTask('Shop.charge', { times: 'twice' });
  // @ts-expect-error inputs are a list, as arguments are
  await expect(run).toHaveCalledTask('Shop.charge', { args: 'A-7' });
  // @ts-expect-error a run cannot fail with a number
  await expect(run).toHaveFailedWith(7);
  // @ts-expect-error that is no duration
  await expect(run).toHaveCompleted({ within: 'a while' });
}

async function orchestrator(nestor: TestingOrchestrator): Promise<void> {
  const shop: Shop = nestor.get(Shop);
  await nestor.clock.advance('30d');
  await nestor.clock.set('2031-05-01');
  const recording = await nestor.exportRun(await nestor.latestRun());
  await nestor.replayRun(recording, Shop, 'order');

  // @ts-expect-error that is no duration
  await nestor.clock.advance('a month');
  // @ts-expect-error the class has no such method
  await nestor.replayRun(recording, Shop, 'refund');
  // @ts-expect-error a class alone does not say which flow
  await nestor.replayRun(recording, Shop);
  // @ts-expect-error what is exported is a run
  await nestor.exportRun(shop);
  // @ts-expect-error where the database is goes by `database`
  await createTestingOrchestrator({ url: 'postgres://localhost/test' });
  // @ts-expect-error time is skipped by itself, or it is not
  await createTestingOrchestrator({ autoAdvance: '1s' });
}

/** For frameworks whose types of `expect` are not those of @types/jest. */
type Own = NestorMatchers<void>['toHaveCompleted'];
export type Used = [typeof assertions, typeof orchestrator, Own];
