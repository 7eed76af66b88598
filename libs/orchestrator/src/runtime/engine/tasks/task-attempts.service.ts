import { failed, timedOut } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { ENGINE_SETTINGS, type EngineSettings } from '../../engine-settings.js';
import { Hooks } from '../../hooks/hooks.service.js';
import { Payloads } from '../../payloads/payloads.service.js';
import type { LiveTaskRun } from '../../transitions/live-run.js';
import { withTransaction } from '../../transactions/transaction.js';
import { noteOrigin } from '../input-origins.js';
import { failureMessage, stackOf } from '../outcome.js';
import { isWorthRetrying } from '../retry-condition.js';
import { LogLevel, RunLogs } from '../run-logs.js';
import { TaskBodies } from './task-bodies.service.js';
import { logSourceOf, persistsResult, type Begun } from './task-call.js';
import { COMPLETED, TaskRunStates } from './task-run-states.service.js';
import { TaskSlots } from './task-slots.service.js';
import { TaskTransactions } from './task-transactions.service.js';

/** Takes task runs from their first attempt to their outcome, retries included. */
@Injectable()
export class TaskAttempts {
  constructor(
    private readonly bodies: TaskBodies,
    private readonly states: TaskRunStates,
    private readonly transactions: TaskTransactions,
    private readonly payloads: Payloads,
    private readonly hooks: Hooks,
    private readonly logs: RunLogs,
    private readonly slots: TaskSlots,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /**
   * Runs the body until it succeeds or is not tried again; a run from the queue until it waits there for its next attempt.
   *
   * @param remember called with what the row of the run holds, once that is durable.
   */
  async run(begun: Begun, remember: ((stored: string) => Promise<void>) | null): Promise<unknown> {
    const { execution } = begun;
    const { task, around, caller } = execution;
    for (;;) {
      if (around.ended) throw this.states.close(begun, around.ended);
      if (begun.live.lease?.lost) throw begun.live.lease.lost;
      const own = this.transactions.ofAttempt();
      const outcome = await (own ? withTransaction(own, () => this.bodies.attempt(begun)) : this.bodies.attempt(begun));
      if (outcome.kind === 'returned') {
        const result = persistsResult(task, caller, this.settings.persistResults) ? outcome.stored : null;
        if (!task.transactional) await this.states.propose(begun, outcome.state ?? COMPLETED, result).durable();
        const value = noteOrigin(this.payloads.decode(outcome.encoded), execution.id);
        const keep = remember && ((): Promise<void> => remember(outcome.stored));
        if (own || task.transactionHooks) await this.transactions.join(own, begun, value, result, keep);
        else if (keep) await keep();
        return value;
      }
      if (outcome.kind === 'cut-off') throw this.states.close(begun, outcome.end);
      await own?.rollBack();

      const message = failureMessage(outcome.error);
      const context = { runId: execution.id, subject: `error of ${task.subject}` };
      const sealing = this.payloads.sealError(outcome.error, message, context);
      const { encoded, stored } = sealing instanceof Promise ? await sealing : sealing;
      const isRetriable = task.retryCondition === null || (await this.isWorthRetrying(begun, outcome.error));
      const details = isRetriable ? {} : { retriable: false };
      const state = outcome.state ?? (outcome.timedOut ? timedOut : failed)({ message, details });
      const proposal = this.states.propose(begun, state, stored);
      this.logError(begun.live, `The attempt failed. ${stackOf(outcome.error)}`);
      if (proposal.answer.verdict.kind === 'accept') {
        await proposal.durable();
        if (task.transactionHooks) await this.transactions.rollBack(execution, execution.id);
        throw this.payloads.decode(encoded);
      }
      const next = proposal.answer.state;
      if (next?.details.scheduledTime !== undefined && begun.live.queue) return proposal.durable(); // for whoever is there then
      proposal.inPassing();
      if (next?.details.scheduledTime !== undefined) {
        await this.slots.release(begun.live); // while it waits it does not run
        await this.states.startAt(begun, next);
      } else if (task.hooks) await this.hooks.beginTask(begun.live);
    }
  }

  private isWorthRetrying({ execution, live }: Begun, error: unknown): Promise<boolean> {
    const { task, args } = execution;
    return isWorthRetrying(
      task,
      live,
      error,
      () => args,
      (line) => this.logError(live, line),
    );
  }

  private logError(live: LiveTaskRun, message: string): void {
    this.logs.append(logSourceOf(live), LogLevel.Error, message);
  }
}
