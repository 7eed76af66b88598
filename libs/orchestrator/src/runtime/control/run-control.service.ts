import {
  addMs,
  awaitingRetry,
  cached,
  cancelled,
  cancelling,
  durationMs,
  isTerminal,
  paused,
  resuming,
  running,
  scheduled,
  StateType,
  suspended,
  type Duration,
  type ProposedState,
  type State,
} from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import { newFlowRunOfRow } from '../../records/flow-runs/flow-run-rows.js';
import { FlowRunsRepository, type LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { RunValuesRepository } from '../../records/run-values/run-values.repository.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import { TaskRunsRepository, type RecordedTaskRun } from '../../records/task-runs/task-runs.repository.js';
import { nameOfRun } from '../engine/run-names.js';
import { pause } from '../engine/wait-until.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { KEPT_PATTERNS } from '../inputs/kept-inputs.js';
import { PauseAnswers } from '../inputs/pause-answers.service.js';
import { Notifier } from '../notifications/notifier.service.js';
import { Payloads } from '../payloads/payloads.service.js';
import { RunClaimer } from '../recovery/run-claimer.service.js';
import type { Answer } from '../transitions/decided.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { RunControlRefusedError, TaskRunNotFoundError } from './run-control-errors.js';
import { RunObserver } from './run-observer.service.js';

/** A state that somebody sets by hand. */
export interface ForcedState {
  readonly type: StateType;
  /** Default: as the type is written, `Completed` for `COMPLETED`. */
  readonly name?: string;
  readonly message?: string;
}

/** What a fork does differently. */
export interface ForkOptions {
  /** What the new run takes instead, by name; other parameters stay as they are. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** The first task run that is not taken over, nor is any that was called after it. Default: all that completed are. */
  readonly fromTaskRun?: string;
  /** Default: two words. */
  readonly name?: string;
}

/** How long a run may take from PENDING to RUNNING before a pause of it is refused, and how often that is looked at. */
const BEGINS_WITHIN_MS = 500;
const LOOK_AGAIN_MS = 10;

/**
 * Steers flow runs, from any process, whichever executes them: everything goes through the same rules as the states of the
 * engine itself. What a run is asked is durable when the call resolves; the process that executes it reacts within
 * milliseconds, or a few seconds where notifications do not get through.
 */
@Injectable()
export class RunControl {
  constructor(
    private readonly runs: StoredRuns,
    private readonly closing: RunClosing,
    private readonly flowRuns: FlowRunsRepository,
    private readonly taskRuns: TaskRunsRepository,
    private readonly values: RunValuesRepository,
    private readonly transactions: Transactions,
    private readonly payloads: Payloads,
    private readonly clock: DatabaseClock,
    private readonly notifier: Notifier,
    private readonly claimer: RunClaimer,
    private readonly observer: RunObserver,
    private readonly answers: PauseAnswers,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /**
   * Asks a run to end. One that nobody executes is `CANCELLED` at once. Otherwise it becomes `CANCELLING`: the signals of its
   * attempt and of everything within it fire, and it is `CANCELLED` when its methods have settled, or after the grace period
   * (`cancelGrace`) whether they have or not.
   *
   * @returns the state the run is in now.
   * @throws {RunControlRefusedError} when it has ended already.
   */
  async cancel(flowRunId: string): Promise<State> {
    const isPaused = ({ run }: LoadedFlowRun): boolean => run.state?.type === StateType.Paused;
    // By the rules of the contract nothing leads from a pause that is held in memory to CANCELLING, because nobody would look;
    // here its process does. One whose process is gone ends at once.
    const next = (found: LoadedFlowRun): ProposedState =>
      isPaused(found) && isRoot(found.row) && found.row.processId === null ? cancelled() : cancelling();
    return this.follow('cancel', flowRunId, await this.runs.propose(flowRunId, next, { force: isPaused }));
  }

  /**
   * Pauses a running run: tasks that are running end, calls of further ones wait. Its process goes on holding it in memory.
   *
   * @param options `timeout`: the run fails unless it is resumed within that time. Default: no limit.
   * @throws {RunControlRefusedError} when it is not running.
   */
  async pause(flowRunId: string, { timeout }: { readonly timeout?: Duration } = {}): Promise<State> {
    return this.askOnceRunning('pause', flowRunId, paused({ details: this.pauseDetails(timeout) }));
  }

  /**
   * Suspends a running run: tasks that are running end, then the run leaves its process. Resumed, it begins again from the
   * top, in any process, and gets what is recorded.
   *
   * @param options as for {@link pause}.
   * @throws {RunControlRefusedError} when it is not running, or is a subflow, whose caller waits for it.
   */
  async suspend(flowRunId: string, { timeout }: { readonly timeout?: Duration } = {}): Promise<State> {
    const details = { ...this.pauseDetails(timeout), pauseReschedule: true };
    return this.askOnceRunning('suspend', flowRunId, suspended({ details }));
  }

  /**
   * Lets a paused or suspended run go on. What it asks for is checked by the schema that is kept with it, in any process, and
   * written together with its new state; an answer that does not fit leaves it paused.
   *
   * @param options `input`: what the run asks for, as JSON or an instance; fields that are left out have their initial values.
   * @throws {InvalidRunInputError} when the input is not what it asks for.
   * @throws {RunControlRefusedError} when it is not paused, or when it asks for no input and is given one.
   */
  async resume(flowRunId: string, { input }: { readonly input?: unknown } = {}): Promise<State> {
    const next = ({ row, run }: LoadedFlowRun): ProposedState => {
      // The process that held a paused run in memory may be gone: then any other goes on with it.
      const startsAnew = run.state?.details.pauseReschedule === true || (isRoot(row) && row.processId === null);
      return startsAnew ? resuming({ scheduledTime: this.clock.now() }) : running();
    };
    for (;;) {
      const { run } = await this.load(flowRunId);
      const pause = run.state;
      if (pause?.type !== StateType.Paused) throw refused('resume', { run }, 'it is not paused.');
      const answer = await this.answers.answer(flowRunId, pause, input);
      let isStill = true;
      const check = (found: LoadedFlowRun): void => {
        isStill = found.run.state?.id === pause.id;
        if (!isStill) throw refused('resume', found, 'it is not paused any more.');
      };
      try {
        const proposal = { check, ...(answer && { answer }) };
        return await this.follow('resume', flowRunId, await this.runs.propose(flowRunId, next, proposal));
      } catch (error) {
        if (isStill) throw error; // else it may ask for something else by now
      }
    }
  }

  /**
   * Runs an ended run once more: its tasks that completed are not run again, those that failed are.
   *
   * @throws {RunControlRefusedError} when it has not ended, or is a subflow.
   */
  async retry(flowRunId: string): Promise<State> {
    return this.ask('retry', flowRunId, () => this.nextAttempt('Retried by hand.'), this.mustHaveEnded('retry'));
  }

  /**
   * Runs an ended run once more from a task run on: what that one and all that were called after it recorded counts for
   * nothing, and they are run again.
   *
   * @throws {TaskRunNotFoundError} when the task run is none of this flow run.
   * @throws {RunControlRefusedError} as for {@link retry}.
   */
  async restart(flowRunId: string, { fromTaskRun }: { readonly fromTaskRun: string }): Promise<State> {
    const check = this.mustHaveEnded('restart');
    check(await this.load(flowRunId));
    await this.mustBelong(fromTaskRun, flowRunId);
    await this.transactions.single((tx) => this.taskRuns.supersede(tx, flowRunId, fromTaskRun));
    const later = { patterns: KEPT_PATTERNS, thanTaskRunId: fromTaskRun };
    await this.transactions.single((tx) => this.values.forget(tx, flowRunId, later));
    return this.ask('restart', flowRunId, () => this.nextAttempt(`Restarted from task run ${fromTaskRun}.`), check);
  }

  /**
   * Begins a new run with what another one has recorded, up to a point, and with other parameters where some are given.
   * Tasks whose inputs are the same are not run again; the other run stays as it is.
   *
   * @returns the id of the new run; it is claimed by any process that has the flow.
   * @throws {TaskRunNotFoundError} when `fromTaskRun` is none of the other run.
   */
  async fork(flowRunId: string, { parameters, fromTaskRun, name }: ForkOptions = {}): Promise<string> {
    const { row, run } = await this.load(flowRunId);
    if (fromTaskRun !== undefined) await this.mustBelong(fromTaskRun, flowRunId);
    const id = newId();
    const subject = `parameters of the fork of flow run ${flowRunId}`;
    await this.copyRecords(row.id, id, fromTaskRun);
    const later = fromTaskRun === undefined ? null : { patterns: KEPT_PATTERNS, thanTaskRunId: fromTaskRun };
    await this.transactions.single((tx) => this.values.copy(tx, row.id, id, later));
    const known = (await this.payloads.read(row.parameters)) as Record<string, unknown>;
    const { resuming: _, ...retryPolicy } = run.policy;
    await this.runs.create(
      {
        ...newFlowRunOfRow(row),
        id,
        rootFlowRunId: id,
        parentTaskRunId: null,
        name: name ?? nameOfRun(id),
        parameters: await this.payloads.seal(this.payloads.encode({ ...known, ...parameters }, subject), {
          runId: id,
          subject,
        }),
        isLeased: false,
        app: this.settings.app,
      },
      { ...retryPolicy, resuming: false, pauseKeys: [], retryType: null, recoveries: 0, isFork: true },
      scheduled({ scheduledTime: this.clock.now(), message: `Forked from flow run ${flowRunId}.` }),
    );
    this.announceDue();
    return id;
  }

  /**
   * Puts a run into a state by hand, past all rules but those that keep its history true. Whoever executes it stops, unless
   * the state is one in which it is executed.
   *
   * @returns the state the run is in now.
   */
  async setState(flowRunId: string, { type, name, message }: ForcedState): Promise<State> {
    const details = type === StateType.Scheduled ? { scheduledTime: this.clock.now() } : {};
    const state: ProposedState = { type, name: name ?? nameOfType(type), message: message ?? null, details };
    return this.follow('set state', flowRunId, await this.runs.propose(flowRunId, state, { force: true }));
  }

  /** A run that has been called is RUNNING within milliseconds: its first states ride along with the next flush. */
  private async askOnceRunning(action: string, flowRunId: string, state: ProposedState): Promise<State> {
    const deadline = performance.now() + BEGINS_WITHIN_MS;
    for (;;) {
      try {
        return await this.ask(action, flowRunId, state);
      } catch (error) {
        const isBeginning = error instanceof RunControlRefusedError && error.stateType === StateType.Pending;
        if (!isBeginning || performance.now() > deadline) throw error;
        await pause(LOOK_AGAIN_MS);
      }
    }
  }

  private async ask(
    action: string,
    flowRunId: string,
    state: ProposedState | ((found: LoadedFlowRun) => ProposedState),
    check?: (found: LoadedFlowRun) => void,
  ): Promise<State> {
    return this.follow(action, flowRunId, await this.runs.propose(flowRunId, state, check ? { check } : {}));
  }

  /** Does what follows from an answer, and lets those know whom it concerns; gives the state the run is in. */
  private async follow(action: string, flowRunId: string, { verdict, state }: Answer): Promise<State> {
    const stays = verdict.kind === 'wait' || verdict.kind === 'abort' || (verdict.kind === 'reject' && !verdict.state);
    if (stays || state === null) {
      const reason = verdict.kind === 'accept' ? 'it has no state.' : verdict.reason;
      throw new RunControlRefusedError(flowRunId, action, state?.type ?? null, reason);
    }
    this.observer.look(flowRunId);
    this.notifier.notify(`run:${flowRunId}`);
    if (state.type === StateType.Scheduled) this.announceDue();
    // Whoever executed it, if anybody did, can write nothing more, and leaves its tasks as they are.
    if (isTerminal(state.type)) await this.closing.closeWithin([flowRunId]);
    return state;
  }

  private announceDue(): void {
    this.claimer.wake();
    this.notifier.notify('due');
  }

  private nextAttempt(message: string): ProposedState {
    return awaitingRetry({ scheduledTime: this.clock.now(), message });
  }

  private mustHaveEnded(action: string): (found: LoadedFlowRun) => void {
    return ({ row, run }) => {
      if (!isRoot(row)) throw refused(action, { run }, 'it is a subflow; do so with the run that called it.');
      if (run.state === null || !isTerminal(run.state.type))
        throw refused(action, { run }, 'it has not ended; cancel it first.');
    };
  }

  private pauseDetails(timeout: Duration | undefined) {
    if (timeout === undefined) return {};
    return { pauseTimeout: addMs(this.clock.now(), durationMs(timeout, 'timeout of a pause')) };
  }

  private async load(flowRunId: string): Promise<LoadedFlowRun> {
    const found = await this.flowRuns.loadRow(flowRunId);
    if (!found) throw new FlowRunNotFoundError(flowRunId);
    return found;
  }

  private async mustBelong(taskRunId: string, flowRunId: string): Promise<void> {
    const task = await this.taskRuns.find(taskRunId);
    if (task?.flowRunId !== flowRunId) throw new TaskRunNotFoundError(taskRunId, flowRunId);
  }

  /** Gives the fork what completed in the other run: each record in one state, `Cached`, and under an id of its own. */
  private async copyRecords(fromFlowRunId: string, toFlowRunId: string, before: string | undefined): Promise<void> {
    const recorded = await this.taskRuns.recorded(fromFlowRunId);
    const taken = recorded.filter(
      ({ id, stateType }) => stateType === StateType.Completed && (before === undefined || id < before),
    );
    const newIds = new Map(taken.map(({ id }) => [id, newId()]));
    const message = `Taken over from flow run ${fromFlowRunId}.`;
    await Promise.all(
      taken.map((row) => this.runs.recordTaskRun(copyOf(row, toFlowRunId, newIds), cached({ message }), row.result, 0)),
    );
  }
}

function copyOf(row: RecordedTaskRun, flowRunId: string, newIds: ReadonlyMap<string, string>): NewTaskRun {
  const { id, name, taskKey, dynamicKey } = row;
  const parentTaskRunId = row.parentTaskRunId === null ? null : (newIds.get(row.parentTaskRunId) ?? null);
  return {
    id: newIds.get(id) ?? newId(),
    flowRunId,
    parentTaskRunId,
    name,
    taskKey,
    dynamicKey,
    tags: [],
    taskVersion: null,
    inputs: null,
  };
}

function isRoot({ id, rootFlowRunId }: LoadedFlowRun['row']): boolean {
  return id === rootFlowRunId;
}

function refused(action: string, { run }: Pick<LoadedFlowRun, 'run'>, reason: string): RunControlRefusedError {
  return new RunControlRefusedError(run.id, action, run.state?.type ?? null, reason);
}

function nameOfType(type: StateType): string {
  return type.charAt(0) + type.slice(1).toLowerCase();
}
