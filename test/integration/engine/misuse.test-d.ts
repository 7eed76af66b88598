// What must not compile, and what must: checked by `npm run check:types`, never run.
import {
  delay,
  exponentialBackoff,
  Flow,
  mapTasks,
  pause,
  receiveInput,
  receiveInputs,
  sleep,
  sleepUntil,
  submit,
  submitAll,
  suspend,
  Task,
  unmapped,
  withOptions,
  type BackgroundTaskHandle,
  type BackgroundTasks,
  type CompletionContext,
  type FlowRunHandle,
  type Flows,
  type HookContext,
  type RunState,
  type TaskFuture,
} from '@nestor/orchestrator';

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

  // @ts-expect-error there is no such option
  @Flow({ retry: 3 })
  async unknownOption(): Promise<void> {}

  @Flow({ runName: 'order {id}', retryDelay: exponentialBackoff({ from: '1s' }), retries: 3 })
  async named(order: Order): Promise<void> {
    void order;
  }

  @Task({ runName: '{0} of {1}' })
  async namedByPosition(one: string, other: string): Promise<void> {
    void [one, other];
  }

  @Task<Decorated['seeing']>({
    runName: (order, urgent) => `${order.id} ${urgent === true}`,
    retryCondition: (error, { args: [order] }) => error instanceof Error && order.id > 0,
  })
  async seeing(order: Order, urgent?: boolean): Promise<void> {
    void [order, urgent];
  }

  // @ts-expect-error the order has no such field
  @Flow({ runName: 'order {nmae}' })
  async misnamed(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error several parameters are named by position
  @Task({ runName: '{one}' })
  async misnamedByPosition(one: string, other: string): Promise<void> {
    void [one, other];
  }

  // @ts-expect-error there is nothing to name
  @Flow({ runName: 'for {customer}' })
  async namedAfterNothing(): Promise<void> {}

  // @ts-expect-error the name is made of the method's own parameters
  @Task<Decorated['seeing']>({ runName: (order) => order.nmae })
  async seeingTooMuch(order: Order, urgent?: boolean): Promise<void> {
    void [order, urgent];
  }

  // @ts-expect-error a name is a text
  @Task<Decorated['seeing']>({ runName: (order) => order.id })
  async namedByNumber(order: Order, urgent?: boolean): Promise<void> {
    void [order, urgent];
  }

  // @ts-expect-error what was declared for one method does not fit another
  @Task<Decorated['seeing']>({ runName: (order) => `${order.id}` })
  async ofAnotherType(name: string): Promise<void> {
    void name;
  }

  // @ts-expect-error without the type of the method its parameters are not known
  @Task({ runName: (order) => `${order.id}` })
  async seeingNothing(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error a condition says yes or no
  @Task({ retryCondition: () => 'maybe' })
  async undecided(): Promise<void> {}

  // @ts-expect-error tags are a list
  @Flow({ tags: 'nightly' })
  async oneTag(): Promise<void> {}

  // @ts-expect-error jitter is a share
  @Task({ retryJitter: '10%' })
  async jitterInWords(): Promise<void> {}

  // @ts-expect-error a backoff begins somewhere
  @Task({ retryDelay: exponentialBackoff({ factor: 2 }) })
  async backoffFromNowhere(): Promise<void> {}

  // @ts-expect-error only tasks run at most once
  @Flow({ recordStart: true })
  async flowAtMostOnce(): Promise<void> {}

  // @ts-expect-error only flows diverge
  @Task({ onDivergence: 'warn' })
  async divergingTask(): Promise<void> {}

  @Flow({
    onRunning: ['note', ({ run, state }) => `${run.name} is ${state.name}`],
    onCompletion: 'shipped',
    onFailure: ({ error, logger }) => logger.error(String(error)),
    onCrashed: 'note',
  })
  async hooked(order: Order): Promise<{ shipped: Date }> {
    return { shipped: new Date(order.id) };
  }

  @Task<Decorated['hookedTask']>({
    onCompletion: ({ args: [order, urgent], result }) => [order.id, urgent === true, result.shipped],
    onFailure: ['note', async ({ args: [order], error }) => [order.id, error]],
  })
  async hookedTask(order: Order, urgent?: boolean): Promise<{ shipped: Date }> {
    return { shipped: new Date(order.id + Number(urgent)) };
  }

  note({ run }: HookContext): void {
    void (run.kind === 'flow-run' ? run.flowName : run.taskName);
  }

  async shipped({ args: [order], result }: CompletionContext<Decorated['hooked']>): Promise<void> {
    void [order.id, result.shipped];
  }

  // @ts-expect-error a hook is a method of the class
  @Flow({ onFailure: 'noet' })
  async misspelt(): Promise<void> {}

  // @ts-expect-error so is every one of a list
  @Task({ onCompletion: ['note', 'noet'], onFailure: 'note' })
  async misspeltInAList(): Promise<void> {}

  // @ts-expect-error also beside functions
  @Flow({ onCancellation: [({ state }) => state.name, 'noet'] })
  async misspeltBesideAFunction(): Promise<void> {}

  // @ts-expect-error a field is no method
  @Flow({ onRunning: 'field' })
  async hookedByField(): Promise<void> {}

  // @ts-expect-error that method takes something else
  @Flow({ onFailure: 'goodWithArgument' })
  async hookedByAnything(): Promise<void> {}

  // @ts-expect-error a failed run has no result
  @Flow({ onFailure: 'shipped' })
  async hookedByTheWrongList(order: Order): Promise<{ shipped: Date }> {
    return { shipped: new Date(order.id) };
  }

  // @ts-expect-error that hook is for runs with other parameters
  @Flow({ onCompletion: 'shipped' })
  async hookedByThatOfAnother(name: string): Promise<{ shipped: Date }> {
    return { shipped: new Date(name) };
  }

  // @ts-expect-error that hook is for runs with another result
  @Flow({ onCompletion: 'shipped' })
  async hookedForAnotherResult(order: Order): Promise<number> {
    return order.id;
  }

  // @ts-expect-error the result is what the method promises
  @Flow<Decorated['hooked']>({ onCompletion: ({ result }) => result.refunded })
  async hookedWithTheWrongResult(order: Order): Promise<{ shipped: Date }> {
    return { shipped: new Date(order.id) };
  }

  // @ts-expect-error without the type of the method its result is not known
  @Flow({ onCompletion: ({ result }) => result.shipped })
  async hookedWithoutType(order: Order): Promise<{ shipped: Date }> {
    return { shipped: new Date(order.id) };
  }

  // @ts-expect-error tasks are not cancelled by themselves
  @Task({ onCancellation: 'note' })
  async hookedTaskOfAFlow(): Promise<void> {}

  // @ts-expect-error a hook is no number
  @Task({ onFailure: 5 })
  async hookedByNumber(): Promise<void> {}

  async goodWithArgument(count: number): Promise<number> {
    return count;
  }

  @Task()
  async add(one: number, other: number): Promise<number> {
    return one + other;
  }

  // @ts-expect-error parameters are validated or they are not
  @Flow({ validateParameters: 'strictly' })
  async validatedInWords(): Promise<void> {}

  // @ts-expect-error tasks take what they are given
  @Task({ validateParameters: true })
  async validatedTask(): Promise<void> {}

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

  const title: 'Parameters' = flows.parameterSchema(Decorated, 'good').title;
  // @ts-expect-error only methods that return promises are flows
  flows.parameterSchema(Decorated, 'undecorated');

  const lengths: number[] = await mapTasks(['a'], async (text, index) => text.length + index, { concurrency: 2 });
  // @ts-expect-error the function is asynchronous
  await mapTasks(['a'], (text) => text.length);
  return [result, wrong, title, lengths, WholeClass];
}

export class Transactional {
  @Task({ transactional: true })
  async inDefault(): Promise<void> {}

  @Task({ transactional: { dataSource: 'billing', isolation: 'SERIALIZABLE' } })
  async inBilling(): Promise<void> {}

  // @ts-expect-error PostgreSQL has no such isolation level
  @Task({ transactional: { isolation: 'SNAPSHOT' } })
  async inVain(): Promise<void> {}

  // @ts-expect-error a data source is named
  @Task({ transactional: new Date() })
  async withObject(): Promise<void> {}

  // @ts-expect-error flows have many steps, which no transaction holds together
  @Flow({ transactional: true })
  async asFlow(): Promise<void> {}
}

declare const decorated: Decorated;

export async function calling(): Promise<unknown[]> {
  const sum: number = await withOptions(decorated, { retries: 2, key: 'sum' }).add(1, 2);
  const state: RunState<number> = await withOptions(decorated, { returnState: true }).add(1, 2);
  const future: TaskFuture<number> = submit(decorated).add(sum, state);
  const sums: number[] = await submitAll(decorated).add([1, future], unmapped(2)).results();

  // @ts-expect-error a name belongs to the definition
  withOptions(decorated, { name: 'other' });
  // @ts-expect-error and so does the transaction
  withOptions(decorated, { transactional: true });
  // @ts-expect-error an argument is missing
  await withOptions(decorated, { retries: 2 }).add(1);
  // @ts-expect-error the result is a state
  const value: number = await withOptions(decorated, { returnState: true }).add(1, 2);
  // @ts-expect-error that one is no asynchronous method
  withOptions(decorated, { returnState: true }).undecorated();
  // @ts-expect-error that one is none either
  submit(decorated).undecorated();
  // @ts-expect-error a future is no value
  const early: number = submit(decorated).add(1, 2);
  // @ts-expect-error a future of another type
  submit(decorated).add(submit(decorated).seeing({ id: 1 }), 2);
  // @ts-expect-error calls are made through the provider
  submit(decorated.add)(1, 2);
  // @ts-expect-error a submitted call always gives a future
  submit(decorated, { returnState: true });
  // @ts-expect-error the elements are of another type
  submitAll(decorated).add(['one'], 2);
  return [sum, sums, value, early];
}

class Approval {
  approved!: boolean;
  amount?: number;
}

export async function asking(): Promise<unknown[]> {
  const nothing: void = await pause({ timeout: '10m', key: 'here' });
  const approval: Approval = await suspend({ input: Approval, description: 'Refund?', initial: { amount: 3 } });
  const text: string = await pause({ input: String, initial: 'yes' });
  const count: number = await receiveInput(Number, { timeout: '1m' });
  const { value, respond } = await receiveInput(Approval, { withMetadata: true });
  for await (const one of receiveInputs(Boolean)) await respond(one.value);
  await sleep('1h', { suspendAfter: '1m' });

  // @ts-expect-error an answer of another class
  const wrong: { other: string } = await suspend({ input: Approval });
  // @ts-expect-error nothing was asked for
  const answer: string = await pause();
  // @ts-expect-error a field that the class has not
  await suspend({ input: Approval, initial: { colour: 'red' } });
  // @ts-expect-error a value of another type
  await suspend({ input: Approval, initial: { amount: 'three' } });
  // @ts-expect-error a text begins with a text
  await pause({ input: String, initial: 3 });
  // @ts-expect-error initial values of nothing
  await pause({ initial: { amount: 3 } });
  // @ts-expect-error an instance is no class
  await suspend({ input: new Approval() });
  // @ts-expect-error a duration has a unit
  await pause({ timeout: 'soon' });
  // @ts-expect-error without its metadata, an input is its value
  await (await receiveInput(Approval)).respond(1);
  // @ts-expect-error another type
  const truth: boolean = await receiveInput(String);
  // @ts-expect-error a date, not a duration
  await sleepUntil('1h');
  // @ts-expect-error a date is no duration
  await sleep(new Date());
  return [nothing, approval, text, count, value, wrong, answer, truth];
}

declare const tasks: BackgroundTasks;

export async function delaying(): Promise<unknown[]> {
  const run: BackgroundTaskHandle<number> = await delay(decorated, { in: '5m', tags: ['later'] }).add(1, 2);
  const sum: number = await run.result({ timeout: '1m' });
  const same: BackgroundTaskHandle<number> = await tasks.with({ key: 'sum' }).delay(Decorated, 'add', 1, 2);

  // @ts-expect-error an argument is missing
  await delay(decorated).add(1);
  // @ts-expect-error an argument is of another type
  await tasks.delay(Decorated, 'add', '1', 2);
  // @ts-expect-error a handle is no value
  const early: number = await delay(decorated).add(1, 2);
  // @ts-expect-error that one is no asynchronous method
  delay(decorated).undecorated();
  // @ts-expect-error nor can it be named
  await tasks.delay(Decorated, 'undecorated');
  // @ts-expect-error a number that is no duration of a delay but a date's place
  delay(decorated, { at: 5_000 });
  // @ts-expect-error a transaction is more than its name
  delay(decorated, { transaction: 'default' });
  // @ts-expect-error retries belong to the task
  delay(decorated, { retries: 3 });
  return [sum, same, early];
}
