import {
  cancelled,
  completed,
  dateOfInstant,
  failed,
  pending,
  running,
  StateType,
  timedOut,
  type RetryPolicy,
  type State,
} from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import { Replays } from '../replay/replays.service.js';
import type { RecordedCall } from '../replay/recorded-call.js';
import type { LiveTaskRun } from '../transitions/live-run.js';
import { TransitionService } from '../transitions/transition.service.js';
import { Attempt, goesOnElsewhere, type AttemptEnd } from './attempt.js';
import { Branch } from './branch.js';
import { OutcomeUnknownError, RunEndedError } from './engine-errors.js';
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
  /** Whether it must run at most once: it begins when its `RUNNING` is durable. */
  readonly recordStart: boolean;
  readonly args: readonly unknown[];
  /** @param run the task run this is an attempt of. */
  readonly body: (run: LiveTaskRun) => Promise<unknown>;
}

/** A call on its way: what is called, by whom, and the task run it became. */
interface Execution {
  readonly call: TaskCall;
  readonly live: LiveTaskRun;
  readonly caller: RunScope | undefined;
  readonly engine: CallEngine;
  /** The attempt that called it. */
  readonly around: Attempt;
  /** The attempt of the flow run it belongs to. */
  readonly flowAttempt: number;
}

/** Runs tasks: decides their states in memory, tells the journal, and gives the caller what was recorded. */
@Injectable()
export class TaskEngine {
  constructor(
    private readonly transitions: TransitionService,
    private readonly replays: Replays,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
  ) {}

  private readonly clock = (): Date => dateOfInstant(this.transitions.now());
  private readonly keepValue: RunScope['keepValue'] = (run, key, value) => this.transitions.keepValue(run, key, value);

  /**
   * Runs a task to its end, retries included. Its outcome is durable when this settles: one commit for a task that
   * succeeds at once. A call whose outcome is recorded already gets that, and executes nothing.
   *
   * @param around the attempt that called it; when that ends, so does this run.
   * @throws what the task threw, as it was recorded; {@link RunEndedError} and its like when the caller's attempt is over.
   * @throws {ReplayDivergedError} when the flow run is resumed and its code does something else than before.
   * @throws {OutcomeUnknownError} when it must run at most once and its process died while it ran.
   */
  async run(call: TaskCall, engine: CallEngine, around: Attempt): Promise<unknown> {
    const caller = currentScope();
    around.assertLive();
    const id = newId();
    const dynamicKey = caller ? caller.branch.keyOf(call.taskKey, call.args, this.payloads.classes) : id;
    // Claimed before anything is awaited: calls are told apart by the order in which they are made.
    const known = caller?.replay?.claim(call.taskKey, dynamicKey);
    if (known && known.kind !== 'unfinished') return this.outcomeOfRecord(known.kind, known.result);
    if (caller?.replay && !known) await caller.replay.admit(call.taskKey, dynamicKey);
    if (caller?.gate?.isClosed) {
      const letGo = around.hold();
      await caller.gate.passage();
      letGo();
    }
    const turn = this.transitions.room(caller?.flowRun?.created.id ?? null);
    if (turn) await turn;
    around.assertLive();

    const flowAttempt = caller?.flowRun?.image.runCount ?? 0;
    const live = known ? this.resumed(known, caller) : this.begun(call, caller, { id, dynamicKey }, flowAttempt);
    return this.execute({ call, live, caller, engine, around, flowAttempt }, known?.image.state ?? null);
  }

  /** @param before the state it was in when its process ended; `null` for a run that begins. */
  private async execute(execution: Execution, before: State | null): Promise<unknown> {
    const { call, live, around } = execution;
    if (before?.type === StateType.Running && call.recordStart) return this.giveUp(execution);
    if (before === null) this.propose(execution, pending()).inPassing();
    const started = before?.details.scheduledTime ? this.startAt(execution, before) : this.start(execution, before);
    if (started) await started;
    for (;;) {
      if (around.ended) throw this.close(execution, around.ended);
      const outcome = await this.attempt(execution);
      if (outcome.kind === 'returned') {
        await this.propose(execution, completed(), outcome.stored).durable();
        return this.payloads.decode(outcome.encoded);
      }
      if (outcome.kind === 'cut-off') throw this.close(execution, outcome.end);

      const message = failureMessage(outcome.error);
      const context = { runId: live.created.id, subject: `error of ${call.subject}` };
      const sealing = this.payloads.sealError(outcome.error, message, context);
      const { encoded, stored } = sealing instanceof Promise ? await sealing : sealing;
      const state = (outcome.timedOut ? timedOut : failed)({ message });
      const { answer, durable, inPassing } = this.propose(execution, state, stored);
      this.logFailure(live, outcome.error);
      if (answer.verdict.kind === 'accept') {
        await durable();
        throw this.payloads.decode(encoded);
      }
      inPassing();
      if (answer.state?.details.scheduledTime !== undefined) await this.startAt(execution, answer.state);
    }
  }

  /** Enters `RUNNING`: in passing, unless it has to be known that it did before it does anything. */
  private start(execution: Execution, before: State | null): Promise<void> | undefined {
    // A run that is resumed in the midst of an attempt begins that attempt again.
    const beginsAgain = before?.type === StateType.Running;
    if (beginsAgain) this.transitions.rewindAttempt(execution.live);
    const { durable, inPassing } = this.propose(execution, running(beginsAgain ? { name: 'Rerunning' } : {}));
    if (execution.call.recordStart) return durable();
    inPassing();
    return undefined;
  }

  /** Enters `RUNNING` when the time has come; not at all when the attempt around it is over by then. */
  private async startAt(execution: Execution, { details }: State): Promise<void> {
    if (details.scheduledTime !== undefined) {
      await waitUntil(details.scheduledTime, this.transitions.now, execution.around.signal);
    }
    if (!execution.around.ended) await this.start(execution, null);
  }

  private propose(execution: Execution, state: Parameters<TransitionService['proposeForTaskRun']>[1], result?: string) {
    const { live, flowAttempt } = execution;
    return this.transitions.proposeForTaskRun(live, state, flowAttempt, result === undefined ? {} : { result });
  }

  /**
   * Closes a run whose caller is over, unless the caller goes on elsewhere and finds it there as it stands. The caller's code
   * is cut off as well, so nobody waits for this to be durable.
   */
  private close(execution: Execution, end: AttemptEnd): Error {
    if (!goesOnElsewhere(end)) {
      this.propose(execution, cancelled({ message: `Cut off: ${end.reason}.` })).inPassing();
    }
    const { around, live } = execution;
    return around.ended ? around.endError : new RunEndedError(live.created.name, end.reason);
  }

  private async giveUp(execution: Execution): Promise<never> {
    const error = new OutcomeUnknownError(execution.live.created.name);
    const message = failureMessage(error);
    const context = { runId: execution.live.created.id, subject: `error of ${execution.call.subject}` };
    const { encoded, stored } = await this.payloads.sealError(error, message, context);
    await this.propose(execution, failed({ message, details: { retriable: false } }), stored).durable();
    throw this.payloads.decode(encoded);
  }

  /** What a recorded call gives its caller: what it gave it before. */
  private async outcomeOfRecord(kind: 'completed' | 'failed', result: string | null): Promise<unknown> {
    const outcome = result === null ? undefined : await this.replays.read(result);
    if (kind === 'completed') return outcome;
    throw outcome;
  }

  private begun(
    call: TaskCall,
    caller: RunScope | undefined,
    { id, dynamicKey }: { readonly id: string; readonly dynamicKey: string },
    flowAttempt: number,
  ): LiveTaskRun {
    const created = {
      id,
      flowRunId: caller?.flowRun?.created.id ?? null,
      parentTaskRunId: caller?.taskRun?.created.id ?? null,
      name: `${call.name}-${id.slice(-3)}`,
      taskKey: call.taskKey,
      dynamicKey,
      tags: NO_TAGS,
    };
    return this.transitions.newTaskRun(created, call.policy, flowAttempt, caller?.flowRun?.lease ?? null);
  }

  private resumed({ created, image }: Extract<RecordedCall, { kind: 'unfinished' }>, caller: RunScope | undefined) {
    return this.transitions.resumedTaskRun(created, image, caller?.flowRun?.lease ?? null);
  }

  private attempt({ call, live, caller, engine, around }: Execution): Promise<Outcome> {
    const attempt = new Attempt(live.created.name, live.image.runCount, around);
    const source = this.sourceOf(live);
    const scope: RunScope = {
      engine,
      flowRun: caller?.flowRun ?? null,
      flowName: caller?.flowName ?? null,
      replay: caller?.replay ?? null,
      gate: caller?.gate ?? null,
      taskRun: live,
      attempt,
      branch: Branch.ofTask(live.created, attempt.number),
      log: (level, message) => this.logs.append(source, level, message),
      clock: this.clock,
      keepValue: this.keepValue,
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

const NO_TAGS: readonly string[] = [];
