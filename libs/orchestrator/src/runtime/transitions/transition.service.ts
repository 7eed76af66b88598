import {
  awaitingRetry,
  backgroundTaskRunPolicy,
  flowRunPolicy,
  isTerminal,
  rolledBack,
  scheduled,
  StateType,
  type Facts,
  type FlowRun,
  type FlowRunPolicy,
  type Instant,
  type ProposedState,
  type State,
  type RetryPolicy,
  type TaskRun,
} from '@nestor/core';
import { Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import type { FlowRunEntity } from '../../records/flow-runs/flow-run.entity.js';
import { newFlowRunOfRow, type LeaseChange, type NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import { FlowRunClaimsRepository, type ClaimedFlowRun } from '../../records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository, type LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { Hooks } from '../hooks/hooks.service.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { RunLease } from '../leases/run-lease.js';
import { DatabaseClock } from './database-clock.js';
import { creationEntry, decidedFlowRun, decidedTaskRun, moveEntry, saveEntry, type Answer } from './decided.js';
import type { EntryOutcome, JournalEntry, MoveEntry } from './journal-entry.js';
import { Journal } from './journal.js';
import { SLOT_IS_TAKEN } from './slot-is-taken.js';
import { isRoot, newTaskRun, type LiveFlowRun, type LiveTaskRun } from './live-run.js';

interface ProposeOptions {
  /** The encoded outcome that belongs to the state. */
  readonly result?: string;
  /** What becomes of the lease. Default: a root run that ends releases it. */
  readonly lease?: LeaseChange;
  /** Whether a run that somebody has paused is left as it is: then the answer is that state. Default: it is not. */
  readonly unlessPaused?: boolean;
}

/**
 * Facts about runs that this process executes: whoever registered their flow can start them again, and slots were taken when they were
 * claimed.
 */
const NATIVE_FACTS: Facts = { reschedulable: true, deployment: SLOT_IS_TAKEN };

/**
 * The door through which every state goes: rules decide, bookkeeping follows, the journal writes. Nobody else writes a
 * state column.
 *
 * Runs that this process executes are decided from memory and answered at once. Flow runs are compared and set on the
 * state they were decided from: if somebody else changed the run in between, its proposal is decided again on what the
 * database says, and the first answer is superseded.
 */
@Injectable()
export class TransitionService {
  private readonly logger = new Logger(TransitionService.name);

  constructor(
    private readonly journal: Journal,
    private readonly clock: DatabaseClock,
    private readonly flowRuns: FlowRunsRepository,
    private readonly claims: FlowRunClaimsRepository,
    private readonly process: ProcessLease,
    private readonly transactions: Transactions,
    private readonly taskRuns: TaskRunsRepository,
    private readonly hooks: Hooks,
  ) {}

  /** Database time. */
  readonly now = (): Instant => this.clock.now();

  /** See {@link DatabaseClock.waitUntil}. */
  readonly waitUntil = (instant: Instant, signal?: AbortSignal): Promise<void> => this.clock.waitUntil(instant, signal);

  /** See {@link DatabaseClock.callAfter}. */
  readonly callAfter = (ms: number, callback: () => void): (() => void) => this.clock.callAfter(ms, callback);

  /**
   * Creates a flow run in its first state; durable when this resolves.
   *
   * @param rootLease that of the root run it belongs to; `null` for a root run, which gets one of its own.
   * @throws {LeaseLostError} when the root run may be executed elsewhere by now.
   */
  async createFlowRun(
    created: NewFlowRun,
    policy: FlowRunPolicy,
    first: ProposedState,
    rootLease: RunLease | null,
  ): Promise<LiveFlowRun> {
    const entry = creationEntry(created, policy, first, this.clock.now(), rootLease);
    const written = await this.journal.write(entry);
    if (written === 'lease-lost') throw lostLease(rootLease);
    const lease = rootLease ?? this.process.grant(created.id, 0);
    return { created, image: entry.creation.run, settling: Promise.resolve(), lease };
  }

  /** A root run that this process has claimed, as it was claimed. */
  adopt({ created, run, leaseEpoch }: ClaimedFlowRun): LiveFlowRun {
    return { created, image: run, settling: Promise.resolve(), lease: this.process.grant(created.id, leaseEpoch) };
  }

  /**
   * A run within another one, which this process executes: as it stands, `null` when there is none of that id.
   *
   * @param parent the run that calls it.
   */
  async findSubflowRun(
    flowRunId: string,
    parent: LiveFlowRun,
  ): Promise<{ readonly live: LiveFlowRun; readonly row: FlowRunEntity } | null> {
    const found = await this.journal.patiently(() => this.flowRuns.loadRow(flowRunId));
    return found && { live: this.liveOf(found, parent.lease), row: found.row };
  }

  private liveOf({ row, run }: LoadedFlowRun, lease: RunLease): LiveFlowRun {
    return { created: newFlowRunOfRow(row), image: run, settling: Promise.resolve(), lease };
  }

  /**
   * Proposes a state for a flow run and waits until the answer is durable, and until the hooks have been called that the state
   * owes.
   *
   * @throws {LeaseLostError} when the run may be executed elsewhere by now.
   */
  async proposeForFlowRun(live: LiveFlowRun, proposed: ProposedState, options: ProposeOptions = {}): Promise<Answer> {
    if (isPaused(live.image) && options.unlessPaused) return this.decideAgain(live, proposed, options);
    const { answer, entry } = this.decideForFlowRun(live, proposed, options);
    if (!entry) return answer;
    switch (await this.written(live, entry)) {
      case 'written':
        return answer;
      case 'refused':
        return this.decideAgain(live, proposed, options);
      case 'lease-lost':
        throw lostLease(live.lease);
    }
  }

  /** The state that a run is in, where somebody else may have moved it on; what it does next is decided from there. */
  async refreshed(live: LiveFlowRun): Promise<State | null> {
    const reading = live.settling.then(async () => {
      const current = await this.journal.patiently(() => this.flowRuns.load(live.created.id));
      if (!current) throw new FlowRunNotFoundError(live.created.id);
      live.image = current;
    });
    live.settling = reading.catch(() => undefined);
    await reading;
    return live.image.state;
  }

  /** Gives up the lease of a root run whose state does not change by it; by then everything of it is written. */
  async releaseLease({ created, lease }: LiveFlowRun): Promise<void> {
    const held = { id: created.id, leaseEpoch: lease.epoch };
    await this.journal.settled();
    await this.journal.patiently(() =>
      this.transactions.single((tx) => this.claims.release(tx, this.process.processId, [held])),
    );
  }

  /**
   * Proposes a state for a flow run and answers from memory; the state rides along with the next flush.
   *
   * @param superseded called with the answer that holds when somebody else had changed the run in between.
   */
  proposeInPassing(live: LiveFlowRun, proposed: ProposedState, superseded: (answer: Answer) => void): Answer {
    const { answer, entry } = this.decideForFlowRun(live, proposed, {});
    if (entry) {
      this.journal.rideAlongWith(entry, (outcome) => {
        if (outcome === 'refused')
          this.decideAgain(live, proposed, {}).then(superseded, (error: unknown) => this.lost(live, error));
      });
    }
    return answer;
  }

  /** A task run that is scheduled, as it is put into the queue; nothing is written by this. */
  scheduledTaskRun(created: NewTaskRun, policy: RetryPolicy, scheduledTime: Instant): TaskRun {
    const { image } = newTaskRun(created, policy, 0, null);
    const state = scheduled({ scheduledTime, details: { deferred: true } });
    return decidedTaskRun(image, state, this.clock.now(), 0).after ?? image;
  }

  /** Whether a task run may be begun at once: see {@link Journal.hasRoom}. */
  get hasRoom(): boolean {
    return this.journal.hasRoom;
  }

  /** Calls `goOn` when a task run may be begun. */
  whenRoom(flowRunId: string | null, goOn: () => void): void {
    this.journal.whenRoom(flowRunId, goOn);
  }

  /** Takes back the attempt that was under way in a process that is gone: begun again, it counts once. */
  rewindAttempt(live: LiveTaskRun): void {
    live.image = { ...live.image, runCount: live.image.runCount - 1 };
  }

  /** Keeps a value that a flow run drew; it rides along with the next flush, before whatever depends on it. */
  keepValue(live: LiveFlowRun, key: string, value: string): void {
    this.journal.rideAlongWith({
      kind: 'keep-value',
      lease: live.lease,
      value: { flowRunId: live.created.id, key, value, claim: 0 },
    });
  }

  /**
   * Proposes a state for a task run. The answer is known at once, and nobody else writes the runs of our tasks; it is written
   * as its receiver says.
   *
   * @param flowRunRunCount the attempt of the flow run that the task belongs to.
   * @param result the encoded outcome that belongs to the state.
   */
  proposeForTaskRun(
    live: LiveTaskRun,
    proposed: ProposedState,
    flowRunRunCount: number,
    result: string | null = null,
  ): TaskRunAnswer {
    const { answer, after } = decidedTaskRun(live.image, proposed, this.clock.now(), flowRunRunCount);
    if (!after) return new TaskRunAnswer(answer, null, this.journal);
    const owed = this.hooks.owedByTaskRun(live, after.state);
    const entry = saveEntry(live.created, live.image, after, live.lease, result, owed, live.queue);
    live.image = after;
    const called = owed && (() => this.hooks.endTask(live, after.state, result));
    return new TaskRunAnswer(answer, entry, this.journal, called);
  }

  private async written(live: LiveFlowRun, entry: MoveEntry): Promise<EntryOutcome> {
    const outcome = await this.journal.write(entry);
    if (outcome === 'written' && entry.owed) await this.hooks.endFlow(live, entry.state.state, entry.move.result);
    return outcome;
  }

  /**
   * Notes that what a completed task run did was taken back. That changes nothing about its outcome: a run that is resumed in
   * this attempt gets it as before. Durable when this resolves.
   *
   * @param live `null` when it completed in a process that is gone.
   */
  async takeBack(
    taskRunId: string,
    live: LiveTaskRun | null,
    lease: RunLease | null,
    result: string | null,
  ): Promise<void> {
    const known = live ?? (await this.recordedTaskRun(taskRunId, lease));
    if (known?.image.state?.type !== StateType.Completed || known.image.state.name === 'RolledBack') return;
    const { answer, after } = decidedTaskRun(
      known.image,
      rolledBack(),
      this.clock.now(),
      known.image.flowRunRunCount,
      [],
    );
    if (!after) return;
    const entry = saveEntry(known.created, known.image, after, lease, result);
    known.image = after;
    await new TaskRunAnswer(answer, entry, this.journal).durable();
  }

  private async recordedTaskRun(id: string, lease: RunLease | null): Promise<LiveTaskRun | null> {
    const [found] = await this.journal.patiently(() => this.taskRuns.load([id]));
    return found ? { created: found.created, image: found.run, lease } : null;
  }

  /**
   * Lets a background task run that has ended begin anew: it is scheduled again, and its attempts are counted from the first.
   * Durable when this resolves, and so is its place in the queue.
   */
  async reopenTaskRun(live: LiveTaskRun, message: string): Promise<void> {
    const now = this.clock.now();
    const state = awaitingRetry({ scheduledTime: now, message, details: { deferred: true } });
    const { answer, after } = decidedTaskRun(live.image, state, now, 0, backgroundTaskRunPolicy);
    if (!after) return;
    const entry = saveEntry(live.created, live.image, after, live.lease, null, undefined, live.queue);
    live.image = after;
    await new TaskRunAnswer(answer, entry, this.journal).durable();
  }

  private decideForFlowRun(
    live: LiveFlowRun,
    proposed: ProposedState,
    { result, lease }: ProposeOptions,
  ): { answer: Answer; entry: MoveEntry | null } {
    const before = live.image;
    const { answer, after } = decidedFlowRun(flowRunPolicy, before, proposed, this.clock.now(), NATIVE_FACTS);
    if (!after) return { answer, entry: null };
    live.image = after;
    const ends = isTerminal(after.state.type) && isRoot(live);
    return {
      answer,
      entry: moveEntry(before, after, {
        lease: live.lease,
        // The outcome belongs to a state of the type it was proposed with; a retry that takes its place has none.
        result: after.state.type === proposed.type ? (result ?? null) : null,
        leaseChange: lease ?? (ends ? 'released' : 'kept'),
        owed: this.hooks.owedByFlowRun(live, after.state),
        verdict: answer.verdict,
      }),
    };
  }

  /** After a refused move: what is true now, and what becomes of the proposal then. */
  private decideAgain(live: LiveFlowRun, proposed: ProposedState, options: ProposeOptions): Promise<Answer> {
    const again = live.settling.then(async () => {
      for (;;) {
        const current = await this.journal.patiently(() => this.flowRuns.load(live.created.id));
        if (!current) throw new FlowRunNotFoundError(live.created.id);
        live.image = current;
        if (current.state && isTerminal(current.state.type)) {
          // The rules let an ended run begin again, but not by a proposal from before its end: whoever ended it is right.
          const reason = `The run has ended meanwhile: it is ${current.state.type}.`;
          return { verdict: { kind: 'abort' as const, reason }, state: current.state };
        }
        if (isPaused(current) && options.unlessPaused)
          return { verdict: { kind: 'abort' as const, reason: 'The run is paused.' }, state: current.state };
        const { answer, entry } = this.decideForFlowRun(live, proposed, options);
        const written = entry ? await this.written(live, entry) : 'written';
        if (written === 'lease-lost') throw lostLease(live.lease);
        if (written === 'written') return answer;
      }
    });
    live.settling = again.catch(() => undefined); // whoever proposed hears of it; the next proposal starts afresh
    return again;
  }

  private lost(live: LiveFlowRun, error: unknown): void {
    if (live.lease.lost) return; // the attempt ends with the lease
    this.logger.error(`A state of flow run ${live.created.id} could not be decided again: ${String(error)}`);
  }
}

function isPaused({ state }: FlowRun): boolean {
  return state?.type === StateType.Paused;
}

/** What a proposal for a task run led to, and the two ways of writing it. */
export class TaskRunAnswer {
  constructor(
    readonly answer: Answer,
    /** What is to be written; `null` when the run stays as it is. */
    readonly entry: JournalEntry | null,
    private readonly journal: Journal,
    /** Calls the hooks that the state owes, if it owes any. */
    private readonly hooks: (() => Promise<void>) | undefined = undefined,
  ) {}

  /**
   * Writes it; resolves when it is durable and its hooks have been called, and rejects with {@link LeaseLostError} when the run
   * may be executed elsewhere.
   */
  durable(): Promise<void> {
    const { entry } = this;
    if (!entry) return Promise.resolve();
    const durable = new Promise<void>((resolve, reject) => {
      const settle = (outcome: EntryOutcome): void =>
        outcome === 'written' ? resolve() : reject(lostLease(entry.lease));
      this.journal.append(entry, { settle, fail: reject });
    });
    return this.hooks ? durable.then(this.hooks) : durable;
  }

  /** Calls the hooks that the state owes, for whoever has made it durable in another way. */
  callHooks(): Promise<void> {
    return this.hooks?.() ?? Promise.resolve();
  }

  /** Writes it with the next flush, for a state that leads on and that nobody waits for. */
  inPassing(): void {
    if (this.entry) this.journal.rideAlongWith(this.entry);
  }
}

/** What a caller gets whose entry was not written; without a lease that happens to entries of a leased run only. */
function lostLease(lease: RunLease | null): Error {
  return lease?.lost ?? new Error('A lease was lost that nobody held.');
}
