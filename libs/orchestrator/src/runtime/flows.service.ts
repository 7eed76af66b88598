import { Injectable } from '@nestjs/common';
import type { AsyncMethodName, MethodArgs, MethodResult } from './async-methods.js';
import { BatchedCall } from './batched-call.js';
import { FlowRunHandle } from './flow-run-handle.js';
import { FlowRuns } from './flow-runs.service.js';
import { InvalidRunOptionError, type NewRunOptions } from './engine/new-run-options.js';
import { OrchestratorEngine } from './engine/orchestrator-engine.js';
import type { ParameterSchema } from './parameters/parameter-schema.js';
import { FlowRegistry } from './registry/flow-registry.js';
import { checkedBatch, type BatchOptions } from './scheduling/batch-options.js';
import { Batches } from './scheduling/batches.service.js';
import { checkedEnqueue, type EnqueueOptions, type EnqueueRequest } from './scheduling/enqueue-options.js';
import { FlowEnqueuer } from './scheduling/flow-enqueuer.service.js';
import type { ScheduledRun } from './scheduling/scheduled-runs.service.js';

/**
 * Starts flows in the background, or puts runs of them where any process takes them.
 *
 * @example
 * ```ts
 * const run = await flows.start(NightlyImport, 'importAll', { since: yesterday });
 * const report = await run.result({ timeout: '1h' });
 *
 * await flows.with({ name: 'by hand', tags: ['support'] }).start(NightlyImport, 'importAll', { since: today });
 * await flows.with({ idempotencyKey: order.id, in: '10m' }).enqueue(Reminders, 'remind', order);
 * ```
 */
@Injectable()
export class Flows {
  private readonly starter: FlowStarter;

  constructor(
    private readonly registry: FlowRegistry,
    private readonly engine: OrchestratorEngine,
    private readonly enqueuer: FlowEnqueuer,
    private readonly batches: Batches,
    private readonly flowRuns: FlowRuns,
  ) {
    this.starter = this.with({});
  }

  /**
   * The same with options for the runs. With a key or a time they can be enqueued only: those are for runs that wait.
   *
   * @throws {InvalidRunOptionError} and {@link InvalidDurationError} when one cannot be meant, or cannot be kept.
   */
  with(options: NewRunOptions): FlowStarter;
  with(options: EnqueueOptions): FlowQueue;
  with(options: EnqueueOptions): FlowStarter {
    return new FlowStarter(this.registry, this.enqueuer, this.flowRuns, checkedEnqueue(options), this.engine);
  }

  /** Starts a run without further options: see {@link FlowStarter.start}. */
  start<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    ...args: MethodArgs<T, K>
  ): Promise<FlowRunHandle<MethodResult<T, K>>> {
    return this.starter.start(provider, method, ...args);
  }

  /** Enqueues a run without further options: see {@link FlowQueue.enqueue}. */
  enqueue<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    ...args: MethodArgs<T, K>
  ): Promise<FlowRunHandle<MethodResult<T, K>>> {
    return this.starter.enqueue(provider, method, ...args);
  }

  /** Enqueues many runs without further options: see {@link FlowQueue.enqueueAll}. */
  enqueueAll<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    calls: readonly Readonly<MethodArgs<T, K>>[],
  ): Promise<FlowRunHandle<MethodResult<T, K>>[]> {
    return this.starter.enqueueAll(provider, method, calls);
  }

  /**
   * Puts a call together with others: a flow that takes a list, and returns one as long, is run once for many of them. Durable
   * when this resolves. A flow that makes the call, and goes on after a crash or is tried again, makes it once.
   *
   * @param provider the class with the flow.
   * @param method the name of a decorated method that takes a list alone.
   * @param item what this call puts into the list.
   * @param options how many are put together, and how long the first waits for others.
   * @throws {FlowNotRegisteredError} when the method is no flow of this application.
   * @throws {InvalidRunOptionError} when the options cannot be meant.
   * @throws {UnserialisableValueError} when the item cannot be kept.
   * @throws {RunEndedError} when the attempt that asks is over.
   *
   * @example
   * ```ts
   * const call = await flows.batch(Geocoder, 'locateAll', address, { size: 100, within: '200ms' });
   * const place = await call.result();
   * ```
   */
  async batch<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    item: ItemOf<MethodArgs<T, K>>,
    options: BatchOptions,
  ): Promise<BatchedCall<ElementOf<MethodResult<T, K>>>> {
    const definition = this.registry.getFlow(provider, method);
    const { run, index } = await this.batches.add(definition, item, checkedBatch(options));
    return new BatchedCall(new FlowRunHandle(run.id, run.name, this.flowRuns), index);
  }

  /**
   * What a flow takes, as a JSON schema: for a form that starts it, or for whoever calls it from outside. It says what the
   * types and decorators of the method say; of a type without any, such as an interface, that is nothing.
   *
   * @throws {FlowNotRegisteredError} when the method is no flow of this application.
   */
  parameterSchema<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
  ): ParameterSchema {
    return this.registry.getFlow(provider, method).parameters.schema;
  }
}

/** What a method that takes a list alone is called with; anything else does not compile. */
type ItemOf<Args> = Args extends [readonly (infer Item)[]] ? Item : never;
type ElementOf<List> = List extends readonly (infer Element)[] ? Element : never;

/** Puts runs of flows where any process takes them, with the same options for every run. */
export class FlowQueue {
  /** @internal */
  constructor(
    protected readonly registry: FlowRegistry,
    private readonly enqueuer: FlowEnqueuer,
    protected readonly flowRuns: FlowRuns,
    protected readonly request: EnqueueRequest,
  ) {}

  /**
   * Creates a run that waits until it is due, and comes back as soon as that is durable. Whichever process of the application
   * has the flow and room comes first executes it; this one may be gone by then. A flow that enqueues a run, and goes on after a
   * crash or is tried again, enqueues it once, and gets the run that it got before, also one that it shares.
   *
   * @param provider the class with the flow.
   * @param method the name of the decorated method.
   * @param args what the method takes.
   * @returns the run; with an `idempotencyKey` that a run of the flow has already, that run.
   * @throws {FlowNotRegisteredError} when the method is no flow of this application.
   * @throws {UnserialisableValueError} when the arguments cannot be kept.
   * @throws {WorkPoolNotFoundError} when there is no pool of the name that was given.
   * @throws {RunEndedError} when the attempt that asks is over.
   * @throws {NoTransactionError}, {@link OtherDatabaseError} and {@link QueuePermissionError} when the run cannot be part of the
   * transaction that was given; nothing was written then.
   */
  async enqueue<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    ...args: MethodArgs<T, K>
  ): Promise<FlowRunHandle<MethodResult<T, K>>> {
    const definition = this.registry.getFlow(provider, method);
    return this.handleOf(await this.enqueuer.enqueue(definition, args, this.request));
  }

  /**
   * The same for many runs, which are created a thousand in a transaction: several times as fast as one by one.
   *
   * @param calls what the method takes, once for each run.
   * @returns the runs, in the order of the calls. When it fails some may have been created.
   */
  async enqueueAll<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    calls: readonly Readonly<MethodArgs<T, K>>[],
  ): Promise<FlowRunHandle<MethodResult<T, K>>[]> {
    const definition = this.registry.getFlow(provider, method);
    const runs = await this.enqueuer.enqueueAll(definition, calls, this.request);
    return runs.map((run) => this.handleOf(run));
  }

  private handleOf<Result>({ id, name, mayStillCome }: ScheduledRun): FlowRunHandle<Result> {
    return new FlowRunHandle<Result>(id, name, this.flowRuns, mayStillCome);
  }
}

/** Starts flows with the same options for every run. */
export class FlowStarter extends FlowQueue {
  /** @internal */
  constructor(
    registry: FlowRegistry,
    enqueuer: FlowEnqueuer,
    flowRuns: FlowRuns,
    request: EnqueueRequest,
    private readonly engine: OrchestratorEngine,
  ) {
    super(registry, enqueuer, flowRuns, request);
  }

  /**
   * Starts a run and comes back as soon as the run is durable; it goes on in this process.
   *
   * @param provider the class with the flow.
   * @param method the name of the decorated method.
   * @param args what the method takes.
   * @throws {FlowNotRegisteredError} when the method is no flow of this application.
   * @throws {InvalidRunOptionError} when it was given a key or a time: see {@link FlowQueue.enqueue}.
   * @throws {UnserialisableValueError} when the arguments cannot be kept.
   * @throws {EngineStoppingError} when the application shuts down.
   */
  async start<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    ...args: MethodArgs<T, K>
  ): Promise<FlowRunHandle<MethodResult<T, K>>> {
    const definition = this.registry.getFlow(provider, method);
    if (this.request.isDeferred) {
      throw new InvalidRunOptionError(
        'idempotencyKey',
        'or its time is for runs that are enqueued; this one begins here and now.',
      );
    }
    const { live } = await this.engine.start(definition, args, this.request);
    return new FlowRunHandle(live.created.id, live.created.name, this.flowRuns);
  }
}
