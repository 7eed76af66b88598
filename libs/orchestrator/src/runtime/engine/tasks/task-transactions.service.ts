import { Injectable } from '@nestjs/common';
import type { CallEngine } from '../../registry/engine-bindings.js';
import type { FinishedCall } from './task-call.js';
import {
  currentTransaction,
  outsideTransactions,
  Transaction,
  type TransactionPart,
} from '../../transactions/transaction.js';
import { TaskRunTransitions } from '../../transitions/task-run-transitions.service.js';
import type { Attempt } from '../attempt.js';
import { stackOf } from '../outcome.js';
import { LogLevel, RunLogs } from '../run-logs.js';
import { withScope } from '../run-scope.js';
import { EndedTask, type TransactionEffects } from './ended-task.js';
import type { Begun, CalledTask, EndedCall, TaskCall } from './task-call.js';

const NOTHING: TransactionPart = { commit: () => Promise.resolve(), rollBack: () => Promise.resolve() };

/** What a hook does that takes something back, as a task. */
const COMPENSATION: Omit<CalledTask, 'name' | 'subject' | 'taskKey'> = {
  ...{ policy: { retries: 0, retryDelaysMs: [] }, retryCondition: null, timeoutMs: null, tags: [], runName: null },
  ...{ caching: null, persistResult: true, captureConsole: null },
  ...{ givenVersion: null, source: '', recordStart: false, transactionHooks: null, hooks: null, transactional: null },
};

/** Makes tasks parts of the transactions around them; see `transaction`. Tasks that are outside any commit by themselves. */
@Injectable()
export class TaskTransactions {
  /** Runs a task. Set by the engine, which is made after this: what its tasks did may have to be taken back by tasks. */
  runTask: ((call: TaskCall, engine: CallEngine, around: Attempt) => Promise<unknown>) | null = null;

  constructor(
    private readonly transitions: TaskRunTransitions,
    private readonly logs: RunLogs,
  ) {}

  /** The transaction of one attempt, in which those within it are: what it did is taken back when it fails. None outside any. */
  ofAttempt(): Transaction | undefined {
    const outer = currentTransaction();
    return outer && new Transaction(outer, outer.mode, NOTHING);
  }

  /**
   * Makes a task that completed a part of the transaction around it; outside any, commits it.
   *
   * @param own the transaction of its attempt.
   * @param result what its row holds.
   */
  async join(
    own: Transaction | undefined,
    { execution, live }: Begun,
    value: unknown,
    result: string | null,
    remember: TransactionEffects['remember'],
  ): Promise<void> {
    const takeBack = (): Promise<void> => this.transitions.takeBack(live.created.id, live, live.lease, result);
    const part = this.endedTask(execution, execution.id, value, { remember, takeBack });
    if (!own?.outer) return part.commit();
    own.add(part);
    own.status = 'staged';
    own.outer.add(own);
  }

  /** Makes a task that is recorded as completed a part of the transaction around it, if there is one. */
  rejoin({ created, result }: FinishedCall, call: EndedCall, value: unknown): void {
    const transaction = currentTransaction();
    if (!transaction) return;
    const lease = call.caller?.flowRun?.lease ?? null;
    const isRehearsal = call.caller?.place.replay?.isRehearsal ?? false;
    const takeBack = isRehearsal ? null : () => this.transitions.takeBack(created.id, null, lease, result);
    transaction.add(this.endedTask(call, created.id, value, { remember: null, takeBack }));
  }

  /** Takes back what a task did that failed, as far as its own hooks can. */
  rollBack(call: EndedCall, taskRunId: string): Promise<void> {
    return this.endedTask(call, taskRunId, undefined, { remember: null, takeBack: null }).rollBack();
  }

  private endedTask(
    call: EndedCall,
    taskRunId: string,
    result: unknown,
    { remember, takeBack }: Pick<TransactionEffects, 'remember' | 'takeBack'>,
  ): EndedTask {
    const { task, args, caller, receiver } = call;
    const transaction = currentTransaction();
    const flowRun = caller?.flowRun?.created ?? null;
    const context = {
      ...{ taskRunId, taskName: task.name, flowRunId: flowRun?.id ?? null, args, result },
      get: (name: string) => transaction?.get(name),
    };
    const source = { name: task.name, flowRunId: context.flowRunId, taskRunId };
    const isRehearsal = caller?.place.replay?.isRehearsal ?? false;
    const hooks =
      task.transactionHooks && isRehearsal ? { ...task.transactionHooks, onCommit: [] } : task.transactionHooks;
    return new EndedTask(context, hooks, receiver ?? {}, {
      ...{ remember, takeBack },
      compensate: (key, work) => this.compensate(call, key, work),
      report: (message, error) => this.logs.append(source, LogLevel.Error, `${message} ${stackOf(error)}`),
    });
  }

  /**
   * A task run of its own, which a run that is resumed does not repeat; unless its caller is over, and
   * nothing is recorded any more.
   */
  private compensate({ task, caller, engine, around }: EndedCall, key: string, work: () => unknown): Promise<unknown> {
    const body = async (): Promise<unknown> => work();
    const { runTask } = this;
    if (around.ended || !caller || !runTask) return body();
    const name = `${task.name} rollback`;
    const compensation = { ...COMPENSATION, name, subject: `task "${name}"`, taskKey: `rollback:${task.taskKey}` };
    const options = { settings: {}, key, refreshCache: null, trace: null, upstream: null };
    const call = { task: compensation, args: [], body, options, receiver: null };
    // It is not itself part of what is taken back.
    return outsideTransactions(() => withScope(caller, () => runTask(call, engine, around)));
  }
}
