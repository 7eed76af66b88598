// What must not compile, and what must: checked by `npm run check:types`, never run.
import { Flow, mapTasks, Task, type FlowRunHandle, type Flows } from '@nestor/orchestrator';

interface Order {
  readonly id: number;
}

class Decorated {
  @Flow()
  async good(order: Order, urgent?: boolean): Promise<{ shipped: Date }> {
    return { shipped: new Date(order.id + Number(urgent)) };
  }

  @Task({ retries: 3, retryDelay: ['1s', 500, '1.5h'], timeout: '10m', name: 'good task' })
  goodWithoutAsync(): Promise<number> {
    return Promise.resolve(1);
  }

  // @ts-expect-error a flow that returns no promise cannot be recorded
  @Flow()
  notAsync(): number {
    return 1;
  }

  // @ts-expect-error nor can such a task
  @Task()
  notAsyncTask(): string {
    return '';
  }

  // @ts-expect-error nor one that promises only sometimes
  @Task()
  sometimes(): Promise<number> | number {
    return 1;
  }

  // @ts-expect-error a getter is no method
  @Flow()
  get getter(): Promise<number> {
    return Promise.resolve(1);
  }

  // @ts-expect-error a property is no method
  @Task()
  property = async (): Promise<number> => 1;

  // @ts-expect-error nor is a field that holds a promise
  @Flow()
  field: Promise<number> = Promise.resolve(1);

  // @ts-expect-error a static method has no instance, and nothing is injected into it
  @Flow()
  static async onTheClass(): Promise<void> {}

  // @ts-expect-error a symbol is no name that a run could be found by
  @Task()
  async [Symbol.for('hidden')](): Promise<void> {}

  // @ts-expect-error a duration has a unit
  @Flow({ timeout: '10' })
  async timeoutWithoutUnit(): Promise<void> {}

  // @ts-expect-error of these: ms, s, m, h, d
  @Task({ timeout: '10min' })
  async timeoutInAnotherUnit(): Promise<void> {}

  // @ts-expect-error retries are counted
  @Task({ retries: 'often' })
  async retriesInWords(): Promise<void> {}

  // @ts-expect-error a flow has one delay, a task may have a list
  @Flow({ retryDelay: ['1s', '2s'] })
  async listOfDelays(): Promise<void> {}

  // @ts-expect-error there is no such option
  @Flow({ retry: 3 })
  async unknownOption(): Promise<void> {}

  undecorated(): string {
    return '';
  }
}

// @ts-expect-error a class is no method
@Flow()
class WholeClass {}

declare const flows: Flows;

export async function starting(): Promise<unknown[]> {
  const handle: FlowRunHandle<{ shipped: Date }> = await flows.start(Decorated, 'good', { id: 1 });
  const result: { shipped: Date } = await handle.result({ timeout: '5s' });
  await flows.with({ name: 'a name', tags: ['a'] }).start(Decorated, 'good', { id: 1 }, true);

  // @ts-expect-error the result is what the method promises
  const wrong: number = await handle.result();

  // @ts-expect-error there is no such method
  await flows.start(Decorated, 'missing');
  // @ts-expect-error that one is no asynchronous method
  await flows.start(Decorated, 'undecorated');
  // @ts-expect-error that one is no method at all
  await flows.start(Decorated, 'field');
  // @ts-expect-error an argument is missing
  await flows.start(Decorated, 'good');
  // @ts-expect-error the argument is of another type
  await flows.start(Decorated, 'good', { id: 'one' });
  // @ts-expect-error that is one too many
  await flows.start(Decorated, 'good', { id: 1 }, true, false);
  // @ts-expect-error an instance is no class
  await flows.start(new Decorated(), 'good', { id: 1 });
  // @ts-expect-error tags are a list
  await flows.with({ tags: 'a' }).start(Decorated, 'good', { id: 1 });

  const lengths: number[] = await mapTasks(['a'], async (text, index) => text.length + index, { concurrency: 2 });
  // @ts-expect-error the function is asynchronous
  await mapTasks(['a'], (text) => text.length);
  return [result, wrong, lengths, WholeClass];
}
