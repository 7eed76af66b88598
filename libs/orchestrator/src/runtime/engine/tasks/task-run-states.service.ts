import {
  awaitingResume,
  cancelled,
  completed,
  crashed,
  failed,
  pending,
  running,
  StateType,
  type ProposedState,
  type State,
} from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { TooManySlotsError } from '../../concurrency/concurrency-errors.js';
import { Hooks } from '../../hooks/hooks.service.js';
import { Payloads } from '../../payloads/payloads.service.js';
import type { TaskRunAnswer } from '../../transitions/task-run-answer.js';
import { TaskRunTransitions } from '../../transitions/task-run-transitions.service.js';
import { goesOnElsewhere, type AttemptEnd } from '../attempt.js';
import { OutcomeUnknownError } from '../engine-errors.js';
import { failureMessage, stackOf } from '../outcome.js';
import { LogLevel, RunLogs } from '../run-logs.js';
import { TaskSlots } from './task-slots.service.js';
import { logSourceOf, quietly, type Begun, type Execution } from './task-call.js';

// Made once: a task that succeeds at once enters three states, and most tasks do.
const PENDING = pending();
const RUNNING = running();
const RERUNNING = running({ name: 'Rerunning' });
export const COMPLETED = completed();

/**
 * Takes task runs through their states: into the ones they start in, and into the ones they are left in
 * when their caller is over.
 */
@Injectable()
export class TaskRunStates {
  constructor(
    private readonly transitions: TaskRunTransitions,
    private readonly hooks: Hooks,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
    private readonly slots: TaskSlots,
  ) {}

  propose({ live, flowAttempt }: Begun, state: ProposedState, result: string | null = null): TaskRunAnswer {
    return this.transitions.propose(live, state, flowAttempt, result);
  }

  /** Enters its first state. */
  create(begun: Begun): void {
    this.propose(begun, PENDING).inPassing();
  }

  /** Enters its first states, of a run that nothing goes before and that nobody has to know of before it does anything. */
  createAndStart(begun: Begun): void {
    this.propose(begun, PENDING).inPassing();
    this.propose(begun, RUNNING).inPassing();
  }

  /** Enters `RUNNING` when it has slots of the limits on its tags, as {@link start} does. */
  startWhenFree(begun: Begun, before: State | null): Promise<void> | undefined {
    const taking = this.slots.take(begun);
    return taking ? this.startWith(taking, begun, before) : this.start(begun, before);
  }

  private async startWith(taking: Promise<void>, begun: Begun, before: State | null): Promise<void> {
    const { around } = begun.execution;
    try {
      await taking;
    } catch (error) {
      if (around.ended) throw this.close(begun, around.ended);
      if (!(error instanceof TooManySlotsError)) throw error;
      throw this.payloads.decode(await this.failWith(begun, error));
    }
    await this.start(begun, before);
  }

  /** Enters `RUNNING`: in passing, unless it has to be known that it did before it does anything. */
  start(begun: Begun, before: State | null): Promise<void> | undefined {
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
  async startAt(begun: Begun, { details }: State): Promise<void> {
    const { around } = begun.execution;
    if (details.scheduledTime !== undefined) {
      await this.transitions.waitUntil(details.scheduledTime, around.signal);
    }
    if (!around.ended) await this.startWhenFree(begun, null);
  }

  /** Keeps what the hooks of its states will be told. */
  async noteForHooks(begun: Begun): Promise<void> {
    const { task, receiver, args, around } = begun.execution;
    await this.hooks.noteTask(begun.live, task, receiver, args);
    if (around.ended) throw this.close(begun, around.ended);
  }

  /**
   * Closes a run whose caller is over, unless the caller goes on elsewhere and finds it there as it stands; a call from outside
   * any flow does not. The caller's code is cut off as well, so nobody waits for this to be durable.
   */
  close(begun: Begun, end: AttemptEnd): Error {
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
  cutOff({ around, promise }: Execution): Error {
    if (promise) void quietly(promise);
    return around.endError;
  }

  /** Puts a run back into the queue whose process shuts down; the attempt that was under way is begun again. */
  private giveBack(begun: Begun): void {
    const { execution, live } = begun;
    if (live.lease?.lost) return;
    const isRunning = live.image.state?.type === StateType.Running;
    if (isRunning && execution.task.recordStart) {
      // Nobody waits for it, and its state is its report. Where not even that can be written, the sweeper of another process
      // says the same of it once this one is gone.
      return void this.failAsUnknown(begun).catch((error: unknown) => {
        const message = `It could not be recorded that its outcome is unknown. ${stackOf(error)}`;
        this.logs.append(logSourceOf(live), LogLevel.Error, message);
      });
    }
    if (isRunning) this.transitions.rewindAttempt(live);
    const scheduledTime = this.transitions.now();
    this.propose(begun, awaitingResume({ scheduledTime, message: 'Its process shut down.' })).inPassing();
  }

  /** Fails a run that may run at most once and was running when its process ended; throws what its caller gets. */
  async giveUp(begun: Begun): Promise<never> {
    if (begun.execution.task.hooks) await this.noteForHooks(begun);
    throw this.payloads.decode(await this.failAsUnknown(begun));
  }

  /** Its hooks know its arguments by now. Gives the error, encoded. */
  private async failAsUnknown(begun: Begun): Promise<string> {
    return this.failWith(begun, new OutcomeUnknownError(begun.live.created.name));
  }

  /** Fails a run for good. Gives the error, encoded. */
  private async failWith(begun: Begun, error: Error): Promise<string> {
    const { execution, live } = begun;
    const message = failureMessage(error);
    const context = { runId: live.created.id, subject: `error of ${execution.task.subject}` };
    const { encoded, stored } = await this.payloads.sealError(error, message, context);
    await this.propose(begun, failed({ message, details: { retriable: false } }), stored).durable();
    return encoded;
  }
}
