import { cancelled, completed, failed, pending, running, timedOut, type RetryPolicy } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import type { LiveTaskRun } from '../transitions/live-run.js';
import { TransitionService } from '../transitions/transition.service.js';
import { Attempt } from './attempt.js';
import { Branch } from './branch.js';
import type { RunEndedError } from './engine-errors.js';
import { failureMessage, outcomeOf, type Outcome } from './outcome.js';
import { LogLevel, RunLogs } from './run-logs.js';
import { currentScope, withScope, type RunScope } from './run-scope.js';
import { waitUntil } from './wait-until.js';

/** A call that becomes a task run. */
export interface TaskCall {
  readonly name: string;
  /** What is called, for messages: `task "Orders.ship"`. */
  readonly subject: string;
  readonly taskKey: string;
  readonly policy: RetryPolicy;
  readonly timeoutMs: number | null;
  readonly args: readonly unknown[];
  /** @param run the task run this is an attempt of. */
  readonly body: (run: LiveTaskRun) => Promise<unknown>;
}

/** Runs tasks: decides their states in memory, tells the journal, and gives the caller what was recorded. */
@Injectable()
export class TaskEngine {
  constructor(
    private readonly transitions: TransitionService,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
  ) {}

  /**
   * Runs a task to its end, retries included. Its outcome is durable when this settles: one commit for a task that
   * succeeds at once.
   *
   * @param around the attempt that called it; when that ends, so does this run.
   * @throws what the task threw, as it was recorded; {@link RunEndedError} when the caller's attempt is over.
   */
  async run(call: TaskCall, engine: CallEngine, around: Attempt): Promise<unknown> {
    const caller = currentScope();
    around.assertLive();
    const live = this.newRun(call, caller);
    const attempts = caller?.flowRun?.image.runCount ?? 0;

    this.transitions.proposeForTaskRun(live, pending(), attempts).inPassing();
    this.transitions.proposeForTaskRun(live, running(), attempts).inPassing();
    for (;;) {
      if (around.ended) throw this.close(live, around.ended, attempts);
      const outcome = await this.attempt(call, live, caller, engine, around);
      if (outcome.kind === 'returned') {
        await this.transitions.proposeForTaskRun(live, completed(), attempts, { result: outcome.stored }).durable();
        return this.payloads.decode(outcome.encoded);
      }
      if (outcome.kind === 'cut-off') {
        throw this.close(live, outcome.error, attempts);
      }

      const message = failureMessage(outcome.error);
      const state = (outcome.timedOut ? timedOut : failed)({ message });
      const context = { runId: live.created.id, subject: `error of ${call.subject}` };
      const sealing = this.payloads.sealError(outcome.error, message, context);
      const { encoded, stored } = sealing instanceof Promise ? await sealing : sealing;
      const { answer, durable, inPassing } = this.transitions.proposeForTaskRun(live, state, attempts, {
        result: stored,
      });
      this.logFailure(live, outcome.error);
      if (answer.verdict.kind === 'accept') {
        await durable();
        throw this.payloads.decode(encoded);
      }
      inPassing();
      if (answer.state?.details.scheduledTime !== undefined) {
        await waitUntil(answer.state.details.scheduledTime, this.transitions.now, around.signal);
        if (around.ended) continue;
        this.transitions.proposeForTaskRun(live, running(), attempts).inPassing();
      }
    }
  }

  /** Closes a run whose caller is over. The caller's code is cut off as well, so nobody waits for this to be durable. */
  private close(live: LiveTaskRun, ended: RunEndedError, attempts: number): RunEndedError {
    const state = cancelled({ message: `Cut off: ${ended.reason}.` });
    this.transitions.proposeForTaskRun(live, state, attempts).inPassing();
    return ended;
  }

  private newRun(call: TaskCall, caller: RunScope | undefined): LiveTaskRun {
    const id = newId();
    const dynamicKey = caller ? caller.branch.keyOf(call.taskKey, call.args, this.payloads.classes) : id;
    return this.transitions.newTaskRun(
      {
        id,
        flowRunId: caller?.flowRun?.created.id ?? null,
        parentTaskRunId: caller?.taskRun?.created.id ?? null,
        name: `${call.name}-${dynamicKey.slice(0, 3)}`,
        taskKey: call.taskKey,
        dynamicKey,
        tags: [],
      },
      call.policy,
    );
  }

  private attempt(
    call: TaskCall,
    live: LiveTaskRun,
    caller: RunScope | undefined,
    engine: CallEngine,
    around: Attempt,
  ): Promise<Outcome> {
    const attempt = new Attempt(live.created.name, live.image.runCount, around);
    const source = this.sourceOf(live);
    const scope: RunScope = {
      engine,
      flowRun: caller?.flowRun ?? null,
      flowName: caller?.flowName ?? null,
      taskRun: live,
      attempt,
      branch: new Branch(`${live.created.taskKey}:${live.created.dynamicKey}`),
      log: (level, message) => this.logs.append(source, level, message),
    };
    const body = {
      subject: call.subject,
      runId: live.created.id,
      run: () => call.body(live),
      timeoutMs: call.timeoutMs,
    };
    return withScope(scope, () => outcomeOf(body, attempt, this.payloads));
  }

  private logFailure(live: LiveTaskRun, error: unknown): void {
    const stack = error instanceof Error && error.stack !== undefined ? error.stack : failureMessage(error);
    this.logs.append(this.sourceOf(live), LogLevel.Error, `The attempt failed. ${stack}`);
  }

  private sourceOf({ created }: LiveTaskRun) {
    return { name: created.name, flowRunId: created.flowRunId, taskRunId: created.id };
  }
}
