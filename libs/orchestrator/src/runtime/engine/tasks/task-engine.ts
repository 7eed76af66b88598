import { notReady, StateType } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { newId } from '../../../persistence/ids.js';
import { ProcessLease } from '../../leases/process-lease.service.js';
import { Payloads } from '../../payloads/payloads.service.js';
import type { CallOptions, Upstream } from '../../registry/call-options.js';
import type { CallEngine } from '../../registry/engine-bindings.js';
import { CallInTransactionError } from '../../transactional/transactional-errors.js';
import { newTaskRun, type LiveTaskRun } from '../../transitions/live-run.js';
import { TaskRunTransitions } from '../../transitions/task-run-transitions.service.js';
import type { Attempt } from '../attempt.js';
import { UpstreamError } from '../engine-errors.js';
import { taskInputsOf } from '../input-origins.js';
import { currentScope, type RunScope } from '../run-scope.js';
import { taggedWith } from '../scoped-tags.js';
import { RecordedOutcomes } from './recorded-outcomes.service.js';
import { RememberedOutcomes } from './remembered-outcomes.service.js';
import { TaskAttempts } from './task-attempts.service.js';
import {
  quietly,
  type Begun,
  type CalledTask,
  type EndedCall,
  type Execution,
  type TaskCall,
  type UnfinishedCall,
} from './task-call.js';
import { TaskRunStates } from './task-run-states.service.js';
import { TaskSlots } from './task-slots.service.js';
import { TaskTransactions } from './task-transactions.service.js';
import { recordedTrace, traceOf } from './traced-calls.js';

/** Runs tasks: decides their states in memory, tells the journal, and gives the caller what was recorded. */
@Injectable()
export class TaskEngine {
  constructor(
    private readonly transitions: TaskRunTransitions,
    private readonly states: TaskRunStates,
    private readonly attempts: TaskAttempts,
    private readonly remembered: RememberedOutcomes,
    private readonly recorded: RecordedOutcomes,
    private readonly payloads: Payloads,
    private readonly process: ProcessLease,
    private readonly slots: TaskSlots,
    transactions: TaskTransactions,
  ) {
    transactions.runTask = (call, engine, around) => this.run(call, engine, around);
  }

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
    if (known && this.recorded.answers(known, task, caller)) {
      if (options?.trace) options.trace.run = recordedTrace(known);
      const call: EndedCall = { task, args, caller, engine, around, receiver };
      return this.recorded.give(known, call);
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
    if (around.ended) throw this.states.cutOff(execution);
    return this.executeInTurn(execution);
  }

  /** Executes it when there is room for what it writes. Of a large fan-out most calls wait here: one promise for each. */
  private executeInTurn(execution: Execution): Promise<unknown> {
    if (this.transitions.hasRoom) return this.execute(execution);
    const { caller, around } = execution;
    const turn = new Promise<void>((goOn) => this.transitions.whenRoom(caller?.flowRun?.created.id ?? null, goOn));
    return turn.then(() => {
      if (around.ended) throw this.states.cutOff(execution);
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
    if (this.slots.areNeeded(live)) return this.executeWithSlots(begun);
    if (live.image.state !== null || !isPlain) return this.executePrepared(begun);
    this.states.createAndStart(begun);
    return this.attempts.run(begun, null);
  }

  /** Executes it while it holds slots, which it takes before it starts. */
  private async executeWithSlots(begun: Begun): Promise<unknown> {
    try {
      return await this.executePrepared(begun);
    } finally {
      await this.slots.release(begun.live);
    }
  }

  /** Executes it with what goes before: what it waits for, when it may start, what is remembered of it. */
  private async executePrepared(begun: Begun): Promise<unknown> {
    const { execution, live } = begun;
    const { task } = execution;
    const before = live.image.state;
    if (before?.type === StateType.Running && task.recordStart) return this.states.giveUp(begun);
    if (before === null || isFirstInQueue(live)) this.states.create(begun);
    if (execution.options?.upstream) await this.awaitUpstream(begun, execution.options.upstream);
    if (task.hooks) await this.states.noteForHooks(begun);
    const started = before?.details.scheduledTime
      ? this.states.startAt(begun, before)
      : this.states.startWhenFree(begun, before);
    if (started) await started;
    const { caching } = task;
    return caching ? this.remembered.run(begun, caching) : this.attempts.run(begun, null);
  }

  /** Waits for what its arguments depend on. If that did not complete, the run never starts: it stays `NotReady`. */
  private async awaitUpstream(begun: Begun, upstream: Upstream): Promise<void> {
    const { execution } = begun;
    try {
      execution.args = await upstream.resolve();
    } catch (error) {
      if (execution.around.ended) throw this.states.close(begun, execution.around.ended);
      if (error instanceof UpstreamError) {
        await this.states.propose(begun, notReady({ message: error.message })).durable();
      }
      throw error;
    }
    if (execution.around.ended) throw this.states.close(begun, execution.around.ended);
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
}

function resumed({ created, image }: UnfinishedCall, caller: RunScope | undefined): LiveTaskRun {
  return { created, image, lease: caller?.flowRun?.lease ?? null };
}

/** Whether a run was taken from the queue for the first time. */
function isFirstInQueue({ queue, image }: LiveTaskRun): boolean {
  return queue !== undefined && image.startTime === null;
}
