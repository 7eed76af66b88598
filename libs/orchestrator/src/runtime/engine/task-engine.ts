import {
  awaitingResume,
  cached,
  cancelled,
  completed,
  crashed,
  failed,
  notReady,
  pending,
  running,
  StateType,
  timedOut,
  type ProposedState,
  type State,
} from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { TaskCache } from '../caching/task-cache.service.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Hooks } from '../hooks/hooks.service.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { CallOptions, TracedRun, Upstream } from '../registry/call-options.js';
import type { RunSettings, TaskCaching, TaskDefinition } from '../registry/definitions.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import { Replays } from '../replay/replays.service.js';
import type { RecordedCall } from '../replay/recorded-call.js';
import { newTaskRun, type LiveTaskRun } from '../transitions/live-run.js';
import { TransitionService, type TaskRunAnswer } from '../transitions/transition.service.js';
import {
  currentTransaction,
  outsideTransactions,
  Transaction,
  withTransaction,
  type TransactionPart,
} from '../transactions/transaction.js';
import type { HostTransaction } from '../transactional/host-transaction.js';
import { CallInTransactionError } from '../transactional/transactional-errors.js';
import { TransactionalAttempts } from '../transactional/transactional-attempts.service.js';
import { Attempt, goesOnElsewhere, type AttemptEnd } from './attempt.js';
import { OutcomeUnknownError, UpstreamError } from './engine-errors.js';
import { capturesConsole } from './console-capture.js';
import { failureMessage, outcomeOf, stackOf, type Outcome } from './outcome.js';
import { LogLevel, RunLogs, type LogSource } from './run-logs.js';
import { parametersOf } from './parameters.js';
import { currentScope, RunScope, withScope } from './run-scope.js';
import { EngineScopeServices } from './scope-services.js';
import { taggedWith } from './scoped-tags.js';
import { EndedTask, type TransactionEffects } from './ended-task.js';
import { noteOrigin, taskInputsOf } from './input-origins.js';

/** What is called: a decorated method, or the task run that stands for a subflow. */
type CalledTask = Pick<
  TaskDefinition,
  | 'name'
  | 'subject'
  | 'taskKey'
  | 'givenVersion'
  | 'source'
  | 'transactionHooks'
  | 'hooks'
  | 'recordStart'
  | 'transactional'
  | keyof RunSettings
>;

/** A call that becomes a task run. */
interface TaskCall {
  readonly task: CalledTask;
  readonly args: readonly unknown[];
  /**
   * @param run the task run this is an attempt of.
   * @param args those of the call; where it waited for them, what came.
   */
  readonly body: (run: LiveTaskRun, args: readonly unknown[]) => Promise<unknown>;
  readonly options: CallOptions | null;
  /** Whose methods its hooks may be; `null` for what has none. */
  readonly receiver: object | null;
}

/** A call on its way: what is called, by whom, and which record it has. */
interface Execution extends Omit<TaskCall, 'args'> {
  readonly caller: RunScope | undefined;
  readonly engine: CallEngine;
  /** The attempt that called it. */
  readonly around: Attempt;
  readonly id: string;
  readonly dynamicKey: string;
  /** What is recorded of it, when it had begun in a process that is gone. */
  readonly known: UnfinishedCall | undefined;
  /** Once they have come, those that it waited for. */
  args: readonly unknown[];
  /** Its run, once it has begun. */
  live: LiveTaskRun | null;
  /** What the caller got; set as soon as it has it. */
  promise: Promise<unknown> | null;
}

/** A call that has ended, as far as the transaction around it is concerned. */
type EndedCall = Pick<Execution, 'task' | 'args' | 'caller' | 'engine' | 'around' | 'receiver'>;

/** A call that has begun. */
interface Begun {
  readonly execution: Execution;
  readonly live: LiveTaskRun;
  /** The attempt of the flow run it belongs to. */
  readonly flowAttempt: number;
}

type UnfinishedCall = Extract<RecordedCall, { kind: 'unfinished' }>;
type FinishedCall = Exclude<RecordedCall, { kind: 'unfinished' }>;

// Made once: a task that succeeds at once enters three states, and most tasks do.
const PENDING = pending();
const RUNNING = running();
const RERUNNING = running({ name: 'Rerunning' });
const COMPLETED = completed();
const CACHED = cached();

/** Runs tasks: decides their states in memory, tells the journal, and gives the caller what was recorded. */
@Injectable()
export class TaskEngine {
  constructor(
    private readonly transitions: TransitionService,
    private readonly replays: Replays,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
    private readonly services: EngineScopeServices,
    private readonly process: ProcessLease,
    private readonly cache: TaskCache,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    private readonly hooks: Hooks,
    private readonly transactionalAttempts: TransactionalAttempts,
  ) {}

  /**
   * Runs a task to its end, retries included. Its outcome is durable when this settles: one commit for a task that
   * succeeds at once. A call whose outcome is recorded already gets that, and executes nothing.
   *
   * Rejects with what the task threw, as it was recorded; with {@link RunEndedError} and its like when the caller's attempt is
   * over, which nobody has to await; with {@link ReplayDivergedError} when the flow run is resumed and its code does something
   * else than before; with {@link OutcomeUnknownError} when it must run at most once and its process died while it ran.
   *
   * @param around the attempt that called it; when that ends, so does this run.
   */
  run({ task, args, body, options, receiver }: TaskCall, engine: CallEngine, around: Attempt): Promise<unknown> {
    if (around.ended) return quietly(Promise.reject(around.endError));
    const caller = currentScope();
    if (caller?.transaction) {
      return Promise.reject(new CallInTransactionError(caller.transaction.taskRunName, task.subject));
    }
    const id = newId();
    const dynamicKey = caller ? this.keyOf(caller, task, options?.upstream?.marks ?? args, options) : id;
    if (caller?.place.services.noteCall) caller.place.services.noteCall(caller, task.taskKey, dynamicKey, args);
    // Claimed before anything is awaited: calls are told apart by the order in which they are made.
    const replay = caller?.place.replay;
    const known = replay?.claim(task.taskKey, dynamicKey);
    if (known && known.kind !== 'unfinished' && !isForgotten(known, this.persists(task, caller))) {
      if (options?.trace) options.trace.run = recordedTrace(known);
      const call: EndedCall = { task, args, caller, engine, around, receiver };
      return this.outcomeOfRecord(known, call);
    }

    const unfinished = known?.kind === 'unfinished' ? known : undefined;
    // Written out: there is one for every call of a large fan-out, and copying fields together costs time and memory.
    // prettier-ignore
    const execution: Execution = {
      task, args, body, options, receiver, caller, engine, around, id, dynamicKey, known: unfinished, live: null, promise: null,
    };
    if (options?.trace) options.trace.run = traceOf(execution);
    const mustWait = (replay && !known) || caller?.place.gate?.isClosed;
    execution.promise = mustWait ? this.executeLater(execution) : this.executeInTurn(execution);
    return execution.promise;
  }

  /**
   * Executes a run that this process has taken from the queue: to its end, or until it waits there again, for its next attempt or
   * because the process shuts down. Either is durable when this resolves; it rejects as {@link run} does.
   *
   * @param around what ends, ends the run here.
   */
  runQueued(
    { task, args, body, receiver }: Omit<TaskCall, 'options'>,
    live: LiveTaskRun,
    engine: CallEngine,
    around: Attempt,
  ): Promise<unknown> {
    const { id, dynamicKey } = live.created;
    const call = { task, args, body, receiver, options: null, caller: undefined, engine, around };
    const execution: Execution = { ...call, id, dynamicKey, known: undefined, live, promise: null };
    execution.promise = this.executeInTurn(execution);
    return execution.promise;
  }

  /** Executes it once the replay admits it and the flow run is not paused. */
  private async executeLater(execution: Execution): Promise<unknown> {
    const { caller, task, dynamicKey, around, known } = execution;
    const place = caller?.place;
    if (place?.replay && !known) await place.replay.admit(task.taskKey, dynamicKey);
    if (place?.gate?.isClosed) {
      const letGo = around.hold();
      await place.gate.passage();
      letGo();
    }
    if (around.ended) throw this.cutOff(execution);
    return this.executeInTurn(execution);
  }

  /** Executes it when there is room for what it writes. Of a large fan-out most calls wait here: one promise for each. */
  private executeInTurn(execution: Execution): Promise<unknown> {
    if (this.transitions.hasRoom) return this.execute(execution);
    const { caller, around } = execution;
    const turn = new Promise<void>((goOn) => this.transitions.whenRoom(caller?.flowRun?.created.id ?? null, goOn));
    return turn.then(() => {
      if (around.ended) throw this.cutOff(execution);
      return this.execute(execution);
    });
  }

  /** Not an asynchronous function by itself: most calls need one promise for their attempts, and no other. */
  private execute(execution: Execution): Promise<unknown> {
    const { task, known, caller } = execution;
    const flowAttempt = caller?.flowRun?.image.runCount ?? 0;
    let live: LiveTaskRun;
    try {
      live = execution.live ?? (known ? resumed(known, caller) : this.begun(execution, flowAttempt));
    } catch (error) {
      return Promise.reject(error); // its name could not be made
    }
    const begun: Begun = { execution, live, flowAttempt };
    execution.live = live;
    const isPlain =
      !execution.options?.upstream && !task.hooks && !task.caching && !task.recordStart && !task.transactional;
    if (live.image.state !== null || !isPlain) return this.executePrepared(begun);
    this.propose(begun, PENDING).inPassing();
    this.propose(begun, RUNNING).inPassing();
    return this.executeAttempts(begun, null);
  }

  /** Executes it with what goes before: what it waits for, when it may start, what is remembered of it. */
  private async executePrepared(begun: Begun): Promise<unknown> {
    const { execution, live } = begun;
    const { task } = execution;
    const before = live.image.state;
    if (before?.type === StateType.Running && task.recordStart) return this.giveUp(begun);
    if (before === null || isFirstInQueue(live)) this.propose(begun, PENDING).inPassing();
    if (execution.options?.upstream) await this.awaitUpstream(begun, execution.options.upstream);
    if (task.hooks) await this.noteForHooks(begun);
    const started = before?.details.scheduledTime ? this.startAt(begun, before) : this.start(begun, before);
    if (started) await started;
    const { caching } = task;
    return caching && !this.settings.cache.isDisabled
      ? this.executeRemembering(begun, caching)
      : this.executeAttempts(begun, null);
  }

  /** Ends with the outcome that is remembered, if there is one; otherwise executes it and remembers what came of it. */
  private async executeRemembering(begun: Begun, caching: TaskCaching): Promise<unknown> {
    const { around, id, options, task, caller } = begun.execution;
    const key = await this.cacheKeyOf(begun, caching);
    if (key === null) return this.executeAttempts(begun, null);
    const release = caching.isSerialized ? await this.cache.lock(key, id, around.signal) : null;
    try {
      if (around.ended) throw this.close(begun, around.ended);
      const refresh = options?.refreshCache ?? caching.refresh ?? this.settings.cache.refresh;
      const found = refresh ? null : await this.cache.find(key);
      if (around.ended) throw this.close(begun, around.ended);
      if (found) return await this.concludeCached(begun, found.value);
      if (!this.persists(task, caller)) return await this.executeAttempts(begun, null);
      return await this.executeAttempts(begun, (stored) => this.cache.remember(key, stored, id, caching.expirationMs));
    } finally {
      await release?.();
    }
  }

  private async concludeCached(begun: Begun, value: unknown): Promise<unknown> {
    const { id, task } = begun.execution;
    const subject = `result of ${task.subject}`;
    const stored = await this.payloads.seal(this.payloads.encode(value, subject), { runId: id, subject });
    await this.propose(begun, CACHED, stored).durable();
    return noteOrigin(value, id);
  }

  /** What its outcome is remembered under; one that cannot be told apart from others is not remembered, and the log says why. */
  private async cacheKeyOf({ execution, live }: Begun, { policy }: TaskCaching): Promise<string | null> {
    const { task, args, caller, id } = execution;
    const flowRun = caller?.flowRun?.created ?? null;
    const parameters = flowRun && ((await this.replays.read(flowRun.parameters)) as Record<string, unknown>);
    try {
      return this.cache.keyOf(policy, {
        taskKey: task.taskKey,
        inputs: parametersOf(args, this.payloads.classes),
        source: task.source,
        flowParameters: parameters,
        flowRunId: flowRun?.id ?? null,
        taskRunId: id,
      });
    } catch (error) {
      this.logs.append(sourceOf(live), LogLevel.Error, `Its outcome is not remembered. ${stackOf(error)}`);
      return null;
    }
  }

  /** @param remember called with what the row of the run holds, once that is durable. */
  private async executeAttempts(begun: Begun, remember: ((stored: string) => Promise<void>) | null): Promise<unknown> {
    const { execution } = begun;
    const { task, around, caller } = execution;
    for (;;) {
      if (around.ended) throw this.close(begun, around.ended);
      if (begun.live.lease?.lost) throw begun.live.lease.lost;
      const outer = currentTransaction();
      const own = outer && new Transaction(outer, outer.mode, NOTHING);
      const outcome = await (own ? withTransaction(own, () => this.attempt(begun)) : this.attempt(begun));
      if (outcome.kind === 'returned') {
        const result = this.persists(task, caller) ? outcome.stored : null;
        if (!task.transactional) await this.propose(begun, outcome.state ?? COMPLETED, result).durable();
        const value = noteOrigin(this.payloads.decode(outcome.encoded), execution.id);
        const keep = remember && ((): Promise<void> => remember(outcome.stored));
        if (own || task.transactionHooks) {
          const takeBack = (): Promise<void> => this.takeBack(begun.live, result);
          await join(own ?? null, this.endedTask(execution, execution.id, value, { remember: keep, takeBack }));
        } else if (keep) await keep();
        return value;
      }
      if (outcome.kind === 'cut-off') throw this.close(begun, outcome.end);
      await own?.rollBack();

      const message = failureMessage(outcome.error);
      const context = { runId: execution.id, subject: `error of ${task.subject}` };
      const sealing = this.payloads.sealError(outcome.error, message, context);
      const { encoded, stored } = sealing instanceof Promise ? await sealing : sealing;
      const isRetriable = task.retryCondition === null || (await this.isWorthRetrying(begun, outcome.error));
      const details = isRetriable ? {} : { retriable: false };
      const state = outcome.state ?? (outcome.timedOut ? timedOut : failed)({ message, details });
      const proposal = this.propose(begun, state, stored);
      this.logFailure(begun.live, outcome.error);
      if (proposal.answer.verdict.kind === 'accept') {
        await proposal.durable();
        if (task.transactionHooks) await this.failedTask(execution, execution.id).rollBack();
        throw this.payloads.decode(encoded);
      }
      const next = proposal.answer.state;
      if (next?.details.scheduledTime !== undefined && begun.live.queue) return proposal.durable(); // for whoever is there then
      proposal.inPassing();
      if (next?.details.scheduledTime !== undefined) await this.startAt(begun, next);
      else if (task.hooks) await this.hooks.beginTask(begun.live);
    }
  }

  /** A task that completed, as a part of the transaction around it. */
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

  /** One that failed: what it did is taken back, as far as its own hooks can. */
  private failedTask(call: EndedCall, taskRunId: string): EndedTask {
    return this.endedTask(call, taskRunId, undefined, { remember: null, takeBack: null });
  }

  /** A task run of its own, which a run that is resumed does not repeat; unless its caller is over, and nothing is recorded any more. */
  private compensate({ task, caller, engine, around }: EndedCall, key: string, work: () => unknown): Promise<unknown> {
    const body = async (): Promise<unknown> => work();
    if (around.ended || !caller) return body();
    const name = `${task.name} rollback`;
    const compensation = { ...COMPENSATION, name, subject: `task "${name}"`, taskKey: `rollback:${task.taskKey}` };
    const options = { settings: {}, key, refreshCache: null, trace: null, upstream: null };
    const call = { task: compensation, args: [], body, options, receiver: null };
    // It is not itself part of what is taken back.
    return outsideTransactions(() => withScope(caller, () => this.run(call, engine, around)));
  }

  private takeBack(live: LiveTaskRun, result: string | null): Promise<void> {
    return this.transitions.takeBack(live.created.id, live, live.lease, result);
  }

  /** Whether its result is kept. */
  private persists(task: CalledTask, caller: RunScope | undefined): boolean {
    // What is committed with its record must never run again because its result is missing.
    return (
      task.transactional !== null ||
      (task.persistResult ?? caller?.place.persistResults ?? this.settings.persistResults)
    );
  }

  /** What a call is recognised by within its run: its inputs, unless it was named. */
  private keyOf(
    { branch }: RunScope,
    { taskKey }: CalledTask,
    inputs: readonly unknown[],
    options: CallOptions | null,
  ): string {
    const key = options?.key ?? null;
    return key === null ? branch.keyOf(taskKey, inputs, this.payloads.classes) : branch.keyNamed(taskKey, key);
  }

  /** Asked only while retries remain; what the condition throws is no reason to try again. */
  private async isWorthRetrying({ execution, live }: Begun, error: unknown): Promise<boolean> {
    const { task, args } = execution;
    if (!task.retryCondition || live.image.runCount > task.policy.retries) return true;
    try {
      return await task.retryCondition(error, {
        attempt: live.image.runCount,
        args: args as never,
        runName: live.created.name,
      });
    } catch (failure) {
      this.logs.append(sourceOf(live), LogLevel.Error, `Its retryCondition failed. ${stackOf(failure)}`);
      return false;
    }
  }

  /** Waits for what its arguments depend on. If that did not complete, the run never starts: it stays `NotReady`. */
  private async awaitUpstream(begun: Begun, upstream: Upstream): Promise<void> {
    const { execution } = begun;
    try {
      execution.args = await upstream.resolve();
    } catch (error) {
      if (execution.around.ended) throw this.close(begun, execution.around.ended);
      if (error instanceof UpstreamError) {
        await this.propose(begun, notReady({ message: error.message })).durable();
      }
      throw error;
    }
    if (execution.around.ended) throw this.close(begun, execution.around.ended);
  }

  private async noteForHooks(begun: Begun): Promise<void> {
    const { task, receiver, args, around } = begun.execution;
    await this.hooks.noteTask(begun.live, task, receiver, args);
    if (around.ended) throw this.close(begun, around.ended);
  }

  /** Enters `RUNNING`: in passing, unless it has to be known that it did before it does anything. */
  private start(begun: Begun, before: State | null): Promise<void> | undefined {
    // A run that is resumed in the midst of an attempt begins that attempt again.
    const beginsAgain = before?.type === StateType.Running;
    if (beginsAgain) this.transitions.rewindAttempt(begun.live);
    const proposal = this.propose(begun, beginsAgain ? RERUNNING : RUNNING);
    const { recordStart, hooks, transactional } = begun.execution.task;
    if (hooks) return this.startWithHooks(begun, proposal);
    if (recordStart || transactional) return proposal.durable();
    proposal.inPassing();
    return undefined;
  }

  private async startWithHooks({ execution, live }: Begun, proposal: TaskRunAnswer): Promise<void> {
    const { recordStart, transactional } = execution.task;
    if (recordStart || transactional) await proposal.durable();
    else proposal.inPassing();
    await this.hooks.beginTask(live);
  }

  /** Enters `RUNNING` when the time has come; not at all when the attempt around it is over by then. */
  private async startAt(begun: Begun, { details }: State): Promise<void> {
    const { around } = begun.execution;
    if (details.scheduledTime !== undefined) {
      await this.transitions.waitUntil(details.scheduledTime, around.signal);
    }
    if (!around.ended) await this.start(begun, null);
  }

  private propose({ live, flowAttempt }: Begun, state: ProposedState, result: string | null = null): TaskRunAnswer {
    return this.transitions.proposeForTaskRun(live, state, flowAttempt, result);
  }

  /**
   * Closes a run whose caller is over, unless the caller goes on elsewhere and finds it there as it stands; a call from outside
   * any flow does not. The caller's code is cut off as well, so nobody waits for this to be durable.
   */
  private close(begun: Begun, end: AttemptEnd): Error {
    const message = `Cut off: ${end.reason}.`;
    if (!goesOnElsewhere(end)) this.propose(begun, cancelled({ message })).inPassing();
    else if (begun.live.queue) this.giveBack(begun);
    else if (!begun.execution.caller?.flowRun) this.propose(begun, crashed({ message })).inPassing();
    return this.cutOff(begun.execution);
  }

  /**
   * What a call gets whose caller is over. Node ends a process in which nobody handles a rejection, and a forgotten `await`
   * must not take all the other runs down; whoever does await gets the error as ever.
   */
  private cutOff({ around, promise }: Execution): Error {
    if (promise) void quietly(promise);
    return around.endError;
  }

  /** Puts a run back into the queue whose process shuts down; the attempt that was under way is begun again. */
  private giveBack(begun: Begun): void {
    const { execution, live } = begun;
    if (live.lease?.lost) return;
    const isRunning = live.image.state?.type === StateType.Running;
    if (isRunning && execution.task.recordStart) return void this.giveUp(begun).catch(() => undefined);
    if (isRunning) this.transitions.rewindAttempt(live);
    const scheduledTime = this.transitions.now();
    this.propose(begun, awaitingResume({ scheduledTime, message: 'Its process shut down.' })).inPassing();
  }

  private async giveUp(begun: Begun): Promise<never> {
    const { execution, live } = begun;
    if (execution.task.hooks) await this.noteForHooks(begun);
    const error = new OutcomeUnknownError(live.created.name);
    const message = failureMessage(error);
    const context = { runId: live.created.id, subject: `error of ${execution.task.subject}` };
    const { encoded, stored } = await this.payloads.sealError(error, message, context);
    await this.propose(begun, failed({ message, details: { retriable: false } }), stored).durable();
    throw this.payloads.decode(encoded);
  }

  /** What a recorded call gives its caller: what it gave it before. */
  private async outcomeOfRecord({ kind, result, created }: FinishedCall, call: EndedCall): Promise<unknown> {
    const outcome = result === null ? undefined : await this.replays.read(result);
    const transaction = currentTransaction();
    if (kind === 'failed') {
      if (call.task.transactionHooks) await this.failedTask(call, created.id).rollBack();
      throw outcome;
    }
    if (transaction) {
      const lease = call.caller?.flowRun?.lease ?? null;
      const isRehearsal = call.caller?.place.replay?.isRehearsal ?? false;
      const takeBack = isRehearsal ? null : () => this.transitions.takeBack(created.id, null, lease, result);
      transaction.add(this.endedTask(call, created.id, outcome, { remember: null, takeBack }));
    }
    return noteOrigin(outcome, created.id);
  }

  private begun({ task, caller, id, dynamicKey, args, options }: Execution, flowAttempt: number): LiveTaskRun {
    const flowRun = caller?.flowRun ?? null;
    const created = {
      id,
      flowRunId: flowRun?.created.id ?? null,
      parentTaskRunId: caller?.place.taskRun?.created.id ?? null,
      name: task.runName?.(args) ?? `${task.name}-${id.slice(-3)}`,
      taskKey: task.taskKey,
      dynamicKey,
      tags: taggedWith(task.tags),
      taskVersion: task.givenVersion,
      inputs: options?.upstream ? options.upstream.inputs() : taskInputsOf(args),
    };
    return newTaskRun(created, task.policy, flowAttempt, flowRun?.lease ?? this.process.ownLease);
  }

  private attempt(begun: Begun): Promise<Outcome> {
    const { transactional } = begun.execution.task;
    if (!transactional) return this.attemptOnce(begun, null, null);
    return this.transactionalAttempts.attempt(transactional, {
      live: begun.live,
      run: (transaction, begin) => this.attemptOnce(begun, transaction, begin),
      complete: ({ state, stored }) => this.propose(begun, state ?? COMPLETED, stored),
    });
  }

  /** @param begin called before the body. */
  private attemptOnce(
    { execution, live }: Begun,
    transaction: HostTransaction | null,
    begin: (() => Promise<void>) | null,
  ): Promise<Outcome> {
    const { task, caller, engine, around, body } = execution;
    const attempt = new Attempt(live.created.name, live.image.runCount, around);
    const scope = new RunScope({
      engine,
      flowRun: caller?.flowRun ?? null,
      flowName: caller?.place.flowName ?? null,
      parameters: caller?.place.parameters ?? null,
      replay: caller?.place.replay ?? null,
      gate: caller?.place.gate ?? null,
      persistResults: this.persists(task, caller),
      taskRun: live,
      attempt,
      capturesConsole: capturesConsole(task),
      services: this.services,
      transaction,
    });
    const run = {
      subject: task.subject,
      runId: live.created.id,
      run: begin ? () => begin().then(() => body(live, execution.args)) : () => body(live, execution.args),
      timeoutMs: task.timeoutMs,
      clearance: caller?.flowRun || live.queue ? this.process.clearance : null,
    };
    return withScope(scope, () => outcomeOf(run, attempt, this.payloads, this.transitions.callAfter));
  }

  private logFailure(live: LiveTaskRun, error: unknown): void {
    this.logs.append(sourceOf(live), LogLevel.Error, `The attempt failed. ${stackOf(error)}`);
  }
}

function sourceOf({ created }: LiveTaskRun): LogSource {
  return { name: created.name, flowRunId: created.flowRunId, taskRunId: created.id };
}

function traceOf(execution: Execution): TracedRun {
  const { task, known, dynamicKey } = execution;
  const id = known?.created.id ?? execution.id;
  return { kind: 'task-run', id, name: task.name, key: dynamicKey, state: () => execution.live?.image.state ?? null };
}

function recordedTrace({ created, kind }: RecordedCall): TracedRun {
  const { id, name, dynamicKey } = created;
  const state = kind === 'completed' ? COMPLETED : failed();
  return { kind: 'task-run', id, name, key: dynamicKey, state: () => state };
}

function resumed({ created, image }: UnfinishedCall, caller: RunScope | undefined): LiveTaskRun {
  return { created, image, lease: caller?.flowRun?.lease ?? null };
}

/** Makes it part of a transaction; outside any, it commits by itself. */
async function join(own: Transaction | null, part: EndedTask): Promise<void> {
  if (!own?.outer) return part.commit();
  own.add(part);
  own.status = 'staged';
  own.outer.add(own);
}

const NOTHING: TransactionPart = { commit: () => Promise.resolve(), rollBack: () => Promise.resolve() };

/** What a hook does that takes something back, as a task. */
const COMPENSATION: Omit<CalledTask, 'name' | 'subject' | 'taskKey'> = {
  ...{ policy: { retries: 0, retryDelaysMs: [] }, retryCondition: null, timeoutMs: null, tags: [], runName: null },
  ...{ caching: null, persistResult: true, captureConsole: null },
  ...{ givenVersion: null, source: '', recordStart: false, transactionHooks: null, hooks: null, transactional: null },
};

/** A result that was not kept: then the call is made again. */
function isForgotten({ kind, result }: FinishedCall, persists: boolean): boolean {
  return kind === 'completed' && result === null && !persists;
}

/** Whether a run was taken from the queue for the first time. */
function isFirstInQueue({ queue, image }: LiveTaskRun): boolean {
  return queue !== undefined && image.startTime === null;
}

/** The same promise, which nobody has to await. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
