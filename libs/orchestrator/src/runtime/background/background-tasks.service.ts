import { Inject, Injectable } from '@nestjs/common';
import type { BackgroundTaskCounts, DeadLetter } from '../../records/task-queue/task-queue-rows.js';
import { TaskQueueRepository } from '../../records/task-queue/task-queue.repository.js';
import type { AsyncMethodName, MethodArgs, MethodResult } from '../async-methods.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { BackgroundTaskHandle } from './background-task-handle.js';
import { BackgroundTaskOutcomes } from './background-task-outcomes.js';
import { BACKGROUND_SETTINGS, type BackgroundSettings } from './background-settings.js';
import { DeadLetters } from './dead-letters.service.js';
import { checkedDelay, type DelayOptions, type DelayRequest } from './delay-options.js';
import { TaskClaimer } from './task-claimer.service.js';
import { TaskQueue } from './task-queue.service.js';
import { TasksInFlight } from './tasks-in-flight.js';

/** What this process does with background tasks at present. */
export interface BackgroundTaskStatus {
  /** The keys of the tasks that it serves: `Orders.ship`. */
  readonly served: readonly string[];
  /** How many runs it executes at a time at most; 0 where it serves none. */
  readonly concurrency: number;
  /** How many it executes now. */
  readonly running: number;
}

/**
 * Delays tasks, and tells how they get on.
 *
 * @example
 * ```ts
 * const run = await tasks.delay(Mails, 'sendReceipt', order.id);
 * await tasks.with({ transaction: manager, in: '3d' }).delay(Mails, 'askForReview', order.id);
 * await run.result({ timeout: '1m' });
 * ```
 */
@Injectable()
export class BackgroundTasks {
  private readonly delayer: TaskDelayer;

  constructor(
    private readonly registry: FlowRegistry,
    private readonly queue: TaskQueue,
    private readonly queuedTasks: TaskQueueRepository,
    private readonly outcomes: BackgroundTaskOutcomes,
    private readonly claimer: TaskClaimer,
    private readonly inFlight: TasksInFlight,
    private readonly letters: DeadLetters,
    @Inject(ENGINE_SETTINGS) private readonly engineSettings: EngineSettings,
    @Inject(BACKGROUND_SETTINGS) private readonly settings: BackgroundSettings | null,
  ) {
    this.delayer = this.with({});
  }

  /**
   * The same with options for what it delays.
   *
   * @throws {InvalidRunOptionError} and {@link InvalidDurationError} when one cannot be meant.
   */
  with(options: DelayOptions): TaskDelayer {
    return new TaskDelayer(this.registry, this.queue, checkedDelay(options));
  }

  /** Delays a task without further options: see {@link TaskDelayer.delay}. */
  delay<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    ...args: MethodArgs<T, K>
  ): Promise<BackgroundTaskHandle<MethodResult<T, K>>> {
    return this.delayer.delay(provider, method, ...args);
  }

  /** A way to the end of a run whose id is known, from whichever process it was delayed. */
  handle<Result = unknown>(taskRunId: string): BackgroundTaskHandle<Result> {
    return new BackgroundTaskHandle<Result>(taskRunId, this.outcomes);
  }

  /** How many runs of each task wait, are executed, or failed for good; of this application, in all of its processes. */
  counts(): Promise<BackgroundTaskCounts[]> {
    return this.queuedTasks.countByTask(this.engineSettings.app);
  }

  /**
   * A page of the runs that failed for good, newest first: their retries are used up, or too many processes died of them.
   *
   * @param page `limit` 1 to 200, default 50; `before` is the id of the last run of the page before.
   * @throws {InvalidQueryError} when `limit` or `before` cannot be meant.
   */
  deadLetters({ limit = 50, before }: { readonly limit?: number; readonly before?: string } = {}): Promise<
    DeadLetter[]
  > {
    return this.letters.list({ limit, ...(before !== undefined && { before }) });
  }

  /**
   * Lets a run that failed for good begin anew, with all of its attempts. Its handle then waits for the new end; a key
   * that it had counts no more.
   *
   * @throws {DeadLetterNotFoundError} when it did not fail for good, was discarded, or is of another application.
   */
  retry(taskRunId: string): Promise<void> {
    return this.letters.retry(taskRunId);
  }

  /**
   * Takes a run that failed for good off the list of dead letters. The run itself stays as it is.
   *
   * @throws {DeadLetterNotFoundError} as for {@link retry}.
   */
  discard(taskRunId: string): Promise<void> {
    return this.letters.discard(taskRunId);
  }

  /** What this process does with background tasks at present. */
  status(): BackgroundTaskStatus {
    const concurrency = this.settings?.concurrency ?? 0;
    return { served: this.claimer.served, concurrency, running: this.inFlight.size };
  }
}

/** Delays tasks with the same options for each. */
export class TaskDelayer {
  /** @internal */
  constructor(
    private readonly registry: FlowRegistry,
    private readonly queue: TaskQueue,
    private readonly request: DelayRequest,
  ) {}

  /**
   * Puts a run of a task into the queue: durable when this resolves, or part of the transaction that was given. Whichever
   * process of the application comes first executes it, at least once, on an instance of its own.
   *
   * @param provider the class with the task.
   * @param method the name of the decorated method.
   * @param args what the method takes.
   * @throws {TaskNotRegisteredError} when the method is no task of this application.
   * @throws {UnserialisableValueError} when the arguments cannot be kept.
   * @throws {NoTransactionError}, {@link OtherDatabaseError} and {@link QueuePermissionError} when the run cannot be part of the
   * transaction that was given; nothing was written then.
   */
  async delay<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    ...args: MethodArgs<T, K>
  ): Promise<BackgroundTaskHandle<MethodResult<T, K>>> {
    const definition = this.registry.getTask(provider, method);
    return this.queue.delay(definition, args, this.request) as Promise<BackgroundTaskHandle<MethodResult<T, K>>>;
  }
}
