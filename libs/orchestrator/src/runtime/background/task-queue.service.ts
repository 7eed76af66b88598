import { Inject, Injectable } from '@nestjs/common';
import { derivedId, newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import type { NewQueuedTask } from '../../records/task-queue/task-queue-rows.js';
import { TaskQueueRepository } from '../../records/task-queue/task-queue.repository.js';
import { taskInputsOf } from '../engine/input-origins.js';
import { parametersOf } from '../engine/parameters.js';
import { currentScope } from '../engine/run-scope.js';
import { tagsInScope, unionOf } from '../engine/scoped-tags.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Notifier } from '../notifications/notifier.service.js';
import { Payloads } from '../payloads/payloads.service.js';
import { placeOf, type FlowDefinition, type TaskDefinition } from '../registry/definitions.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { TaskNotRegisteredError } from '../registry/registry-errors.js';
import { Journal } from '../transitions/journal.js';
import { TaskRunTransitions } from '../transitions/task-run-transitions.service.js';
import { BackgroundTaskHandle } from './background-task-handle.js';
import { BackgroundTaskOutcomes } from './background-task-outcomes.js';
import type { DelayRequest } from './delay-options.js';
import {
  BorrowedTransactions,
  type BorrowedTransaction,
} from '../borrowed-transactions/borrowed-transactions.service.js';

/** What a transaction of the application writes to when it puts a run into the queue. */
const QUEUE_TABLES = ['task_run', 'task_run_state', 'task_queue'] as const;

/** Puts task runs into the queue, from which whoever serves them takes them. */
@Injectable()
export class TaskQueue {
  private readonly listeners: (() => void)[] = [];

  constructor(
    private readonly registry: FlowRegistry,
    private readonly transitions: TaskRunTransitions,
    private readonly journal: Journal,
    private readonly transactions: Transactions,
    private readonly borrowed: BorrowedTransactions,
    private readonly queue: TaskQueueRepository,
    private readonly payloads: Payloads,
    private readonly outcomes: BackgroundTaskOutcomes,
    private readonly notifier: Notifier,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Calls `listener` whenever there may be something to take. */
  listen(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Tells everybody that serves tasks, here and elsewhere, that there may be something to take. */
  announce(): void {
    for (const tell of this.listeners) tell();
    this.notifier.notify('queued');
  }

  /**
   * Puts a run of a task into the queue; in a transaction of the application, or durable when this resolves.
   *
   * A run that delays a task and goes on after a crash delays it once: the id of what it delays follows from the call. So it
   * is for a flow that is tried again; what a task delays in its next attempt is another run.
   *
   * @throws {TaskNotRegisteredError} when it is a flow.
   * @throws {UnserialisableValueError} when the arguments cannot be kept.
   * @throws {RunEndedError} and its like when the attempt that asks is over.
   * @throws the errors of {@link BorrowedTransactions.open}.
   */
  async delay(
    definition: TaskDefinition | FlowDefinition,
    args: readonly unknown[],
    request: DelayRequest,
  ): Promise<BackgroundTaskHandle> {
    if (definition.kind !== 'task') {
      throw new TaskNotRegisteredError(placeOf(definition), this.registry.tasks().map(placeOf));
    }
    currentScope()?.attempt.assertLive();
    const id = this.idOf(definition, args);
    const { transaction } = request;
    const host = transaction && (await this.borrowed.open(transaction, definition.subject, QUEUE_TABLES));
    const task = await this.newTask(id, definition, args, request);
    const taskRunId = await this.enqueue(task, host);
    if (host) host.afterCommit(() => this.announce());
    else this.announce();
    return new BackgroundTaskHandle(taskRunId, this.outcomes, host ? () => host.isOpen : undefined);
  }

  /** The same for the same call of the same run, so that a run that goes on after a crash finds what it delayed before. */
  private idOf({ taskKey }: TaskDefinition, args: readonly unknown[]): string {
    const scope = currentScope();
    const run = scope?.flowRun ?? scope?.place.taskRun;
    if (!scope || !run) return newId();
    const call = scope.branch.keyOf(`delay:${taskKey}`, args, this.payloads.classes);
    return derivedId(run.created.id, ['delay', scope.place.taskRun?.created.id ?? '', taskKey, call].join('\0'));
  }

  private async newTask(
    id: string,
    definition: TaskDefinition,
    args: readonly unknown[],
    { name, tags, key, dueAt }: DelayRequest,
  ): Promise<NewQueuedTask> {
    const { taskKey, subject: task, policy, givenVersion } = definition;
    const subject = `parameters of ${task}`;
    const encoded = this.payloads.encode(parametersOf(args, this.payloads.classes), subject);
    const created = {
      id,
      flowRunId: null,
      parentTaskRunId: null,
      name: name ?? definition.runName?.(args) ?? `${definition.name}-${id.slice(-3)}`,
      taskKey,
      dynamicKey: id,
      tags: unionOf(definition.tags, tags ?? [], tagsInScope()),
      taskVersion: givenVersion,
      inputs: taskInputsOf(args),
    };
    const parameters = await this.payloads.seal(encoded, { runId: id, subject });
    const run = this.transitions.scheduledRun(created, policy, dueAt(this.transitions.now()));
    return { created, run, app: this.settings.app, key, parameters };
  }

  /** Gives the id of the run that is in the queue: of another one, when that has the same key. */
  private async enqueue(task: NewQueuedTask, host: BorrowedTransaction | null): Promise<string> {
    const { created, app, key } = task;
    for (;;) {
      if (await this.put(task, host)) return created.id;
      // It may have ended since.
      const other = key === null ? null : await this.queue.findByKey(app, created.taskKey, key, host);
      if (other !== null) return other;
    }
  }

  /** Whether it is there now. */
  private async put(task: NewQueuedTask, host: BorrowedTransaction | null): Promise<boolean> {
    if (host) {
      const { text } = this.queue.enqueueStatement;
      return (await host.query(text, this.queue.enqueueParameters([task]))).length > 0;
    }
    // One with a key may have to wait for a transaction of the application; nothing else is to wait for that.
    if (task.key === null) return (await this.journal.write({ kind: 'enqueue-task', lease: null, task })) === 'written';
    const enqueued = await this.journal.patiently(() =>
      this.transactions.single((tx) => this.queue.enqueue(tx, [task])),
    );
    return enqueued.size > 0;
  }
}
