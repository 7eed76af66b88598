import { Inject, Injectable } from '@nestjs/common';
import { isId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import type { DeadLetter } from '../../records/task-queue/task-queue-rows.js';
import { TaskQueueRepository } from '../../records/task-queue/task-queue.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { checkedId, checkedLimit } from '../queries.js';
import { TaskRunTransitions } from '../transitions/task-run-transitions.service.js';
import { DeadLetterNotFoundError } from './background-task-errors.js';
import { TaskQueue } from './task-queue.service.js';
import { TasksInFlight } from './tasks-in-flight.js';

/** Background task runs that failed for good, until somebody says what becomes of them. */
@Injectable()
export class DeadLetters {
  constructor(
    private readonly queue: TaskQueue,
    private readonly queuedTasks: TaskQueueRepository,
    private readonly inFlight: TasksInFlight,
    private readonly transitions: TaskRunTransitions,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** See `BackgroundTasks.deadLetters`. */
  async list({ limit, before }: { readonly limit: number; readonly before?: string }): Promise<DeadLetter[]> {
    const page = {
      limit: checkedLimit(limit),
      ...(before !== undefined && { before: checkedId(before, 'a task run') }),
    };
    return this.queuedTasks.deadLetters(this.settings.app, page);
  }

  /** See `BackgroundTasks.retry`. */
  async retry(taskRunId: string): Promise<void> {
    // What is taken here is nobody's stray.
    await this.inFlight.exclusively(async () => {
      const { processId, ownLease: lease } = this.process;
      const taken = isId(taskRunId)
        ? await this.transactions.single((tx) =>
            this.queuedTasks.takeDeadLetter(tx, processId, this.settings.app, taskRunId),
          )
        : null;
      const task = taken && (await this.queuedTasks.load([taskRunId])).get(taskRunId);
      if (!taken || !task) throw new DeadLetterNotFoundError(taskRunId);
      const live = { created: task.created, image: task.run, lease, queue: { epoch: taken.epoch } };
      await this.transitions.reopen(live, 'Retried by hand.');
    });
    this.queue.announce();
  }

  /** See `BackgroundTasks.discard`. */
  async discard(taskRunId: string): Promise<void> {
    const { app } = this.settings;
    const count = isId(taskRunId)
      ? await this.transactions.single((tx) => this.queuedTasks.discard(tx, app, [taskRunId]))
      : 0;
    if (count === 0) throw new DeadLetterNotFoundError(taskRunId);
  }
}
