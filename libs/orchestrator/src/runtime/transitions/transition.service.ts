import {
  addMicros,
  advanceFlowRun,
  advanceTaskRun,
  decide,
  flowRunPolicy,
  isTerminal,
  nativeTaskRunPolicy,
  StateType,
  type Facts,
  type FlowRun,
  type FlowRunPolicy,
  type Instant,
  type Policy,
  type ProposedState,
  type RetryPolicy,
  type Run,
  type State,
  type TaskRun,
  type Verdict,
} from '@nestor/core';
import { Injectable, Logger } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import type { FlowRunEntity } from '../../records/flow-runs/flow-run.entity.js';
import { newFlowRunOfRow, type LeaseChange, type NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import { FlowRunsRepository, type LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { LeaseLostError, RunLease } from '../leases/run-lease.js';
import { DatabaseClock } from './database-clock.js';
import type { JournalEntry } from './journal-entry.js';
import { Journal } from './journal.js';
import { isRoot, type LiveFlowRun, type LiveTaskRun } from './live-run.js';

/** What a proposal led to. */
export interface Answer {
  readonly verdict: Verdict;
  /** The state the run is in now; `null` before the first one. */
  readonly state: State | null;
}

interface ProposeOptions {
  /** The encoded outcome that belongs to the state. */
  readonly result?: string;
  /** What becomes of the lease. Default: a root run that ends releases it. */
  readonly lease?: LeaseChange;
}

/** Facts about runs of flows that are registered in this process: whoever registered the flow can start it again. */
const NATIVE_FACTS: Facts = { reschedulable: true };

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
    private readonly process: ProcessLease,
    private readonly transactions: Transactions,
  ) {}

  /** Database time. */
  readonly now = (): Instant => this.clock.now();

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
    const blank: FlowRun = {
      kind: 'flow-run',
      ...BLANK_RUN,
      id: created.id,
      parentTaskRunId: created.parentTaskRunId,
      policy,
    };
    const state = stamped(first, this.nextInstant(blank));
    const run = advanceFlowRun(blank, state, {});
    const written = await this.journal.write({
      kind: 'create-flow-run',
      lease: rootLease,
      created,
      run,
      state: { runId: run.id, state, follows: null },
    });
    if (written === 'lease-lost') throw lostLease(rootLease);
    const lease = rootLease ?? this.process.grant(created.id, 0);
    return { created, image: run, settling: Promise.resolve(), lease };
  }

  /**
   * A root run that this process has claimed, as it stands in the database.
   *
   * @throws {FlowRunNotFoundError} when it is gone.
   */
  async claimedFlowRun(flowRunId: string): Promise<LiveFlowRun> {
    const found = await this.journal.patiently(() => this.flowRuns.loadRow(flowRunId));
    if (!found) throw new FlowRunNotFoundError(flowRunId);
    return this.liveOf(found, this.process.grant(flowRunId, found.row.leaseEpoch));
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
   * Proposes a state for a flow run and waits until the answer is durable.
   *
   * @throws {LeaseLostError} when the run may be executed elsewhere by now.
   */
  async proposeForFlowRun(live: LiveFlowRun, proposed: ProposedState, options: ProposeOptions = {}): Promise<Answer> {
    const { answer, entry } = this.decideForFlowRun(live, proposed, options);
    if (!entry) return answer;
    switch (await this.journal.write(entry)) {
      case 'written':
        return answer;
      case 'refused':
        return this.decideAgain(live, proposed, options);
      case 'lease-lost':
        throw lostLease(live.lease);
    }
  }

  /**
   * Proposes a state for a root run whose process is dead, and takes the lease away from it.
   *
   * @param processId the dead process: when the run has another one by now, nothing is done.
   * @returns whether this call moved the run; otherwise somebody else did.
   */
  async proposeForOrphan(flowRunId: string, processId: string, proposed: ProposedState): Promise<boolean> {
    const found = await this.flowRuns.loadRow(flowRunId);
    if (found?.row.processId !== processId) return false;
    // Not ours to decide from memory: nobody's lease, compared and set on the state alone.
    const live = { ...this.liveOf(found, new RunLease(flowRunId, found.row.leaseEpoch)) };
    const { entry } = this.decideForFlowRun(live, proposed, { lease: 'revoked' });
    return entry !== null && (await this.journal.write({ ...entry, lease: null })) === 'written';
  }

  /** Gives up the lease of a root run whose state does not change by it; by then everything of it is written. */
  async releaseLease({ created, lease }: LiveFlowRun): Promise<void> {
    await this.journal.settled();
    await this.journal.patiently(() =>
      this.transactions.single((tx) => this.flowRuns.release(tx, created.id, lease.epoch, this.process.processId)),
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

  /** To be awaited, where it is not `null`, before a task run is begun: see {@link Journal.room}. */
  room(flowRunId: string | null): Promise<void> | null {
    return this.journal.room(flowRunId);
  }

  /**
   * A task run before its first state; nothing is written yet.
   *
   * @param flowRunRunCount the attempt of the flow run that the task belongs to.
   */
  newTaskRun(created: NewTaskRun, policy: RetryPolicy, flowRunRunCount: number, lease: RunLease | null): LiveTaskRun {
    const image: TaskRun = {
      kind: 'task-run',
      state: null,
      runCount: 0,
      expectedStartTime: null,
      nextScheduledStartTime: null,
      startTime: null,
      endTime: null,
      totalRunTimeUs: 0,
      id: created.id,
      flowRunId: created.flowRunId,
      flowRunRunCount,
      policy,
    };
    return { created, image, lease };
  }

  /**
   * A task run that had begun in a process that is gone. The attempt that was under way begins again and counts once; an
   * attempt that was still to come is made as it would have been.
   */
  resumedTaskRun(created: NewTaskRun, image: TaskRun, lease: RunLease | null): LiveTaskRun {
    const wasRunning = image.state?.type === StateType.Running;
    return { created, image: wasRunning ? { ...image, runCount: image.runCount - 1 } : image, lease };
  }

  /** Keeps a value that a flow run drew; it rides along with the next flush, before whatever depends on it. */
  keepValue(live: LiveFlowRun, key: string, value: string): void {
    this.journal.rideAlongWith({
      kind: 'keep-value',
      lease: live.lease,
      value: { flowRunId: live.created.id, key, value },
    });
  }

  /**
   * Proposes a state for a task run. The answer is known at once, and nobody else writes the runs of our tasks.
   *
   * @param flowRunRunCount the attempt of the flow run that the task belongs to.
   * @returns the answer, and a function that writes it durably; a state that leads on need not be waited for. The former
   * throws {@link LeaseLostError} when the run may be executed elsewhere by now.
   */
  proposeForTaskRun(
    live: LiveTaskRun,
    proposed: ProposedState,
    flowRunRunCount: number,
    { result }: ProposeOptions = {},
  ): { readonly answer: Answer; readonly durable: () => Promise<void>; readonly inPassing: () => void } {
    const run = live.image;
    const now = this.nextInstant(run);
    const verdict = decided(nativeTaskRunPolicy, run, proposed, now);
    const state = enteredState(verdict, now);
    if (!state) {
      return { answer: { verdict, state: run.state }, durable: () => Promise.resolve(), inPassing: () => undefined };
    }
    live.image = advanceTaskRun(run, state, flowRunRunCount);
    const entry: JournalEntry = {
      kind: 'save-task-run',
      lease: live.lease,
      write: { created: live.created, run: live.image, result: result ?? null },
      state: { runId: run.id, state, follows: run.state?.id ?? null },
    };
    return {
      answer: { verdict, state },
      durable: async () => {
        if ((await this.journal.write(entry)) !== 'written') throw lostLease(live.lease);
      },
      inPassing: () => this.journal.rideAlongWith(entry),
    };
  }

  private decideForFlowRun(
    live: LiveFlowRun,
    proposed: ProposedState,
    { result, lease }: ProposeOptions,
  ): { answer: Answer; entry: JournalEntry | null } {
    const run = live.image;
    const now = this.nextInstant(run);
    const verdict = decided(flowRunPolicy, run, proposed, now);
    const state = enteredState(verdict, now);
    if (!state) return { answer: { verdict, state: run.state }, entry: null };
    const policy = verdict.kind === 'accept' || verdict.kind === 'reject' ? verdict.policy : {};
    live.image = advanceFlowRun(run, state, policy);
    return {
      answer: { verdict, state },
      entry: {
        kind: 'move-flow-run',
        lease: live.lease,
        // The outcome belongs to the state it was proposed with; a retry that takes its place has none.
        move: {
          run: live.image,
          expectedStateId: run.state?.id ?? null,
          result: verdict.kind === 'accept' ? (result ?? null) : null,
          lease: lease ?? (isTerminal(state.type) && isRoot(live) ? 'released' : 'kept'),
        },
        state: { runId: run.id, state, follows: run.state?.id ?? null },
      },
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
        const { answer, entry } = this.decideForFlowRun(live, proposed, options);
        const written = entry ? await this.journal.write(entry) : 'written';
        if (written === 'lease-lost') throw lostLease(live.lease);
        if (written === 'written') return answer;
      }
    });
    live.settling = again.catch(() => undefined); // whoever proposed hears of it; the next proposal starts afresh
    return again;
  }

  private lost(live: LiveFlowRun, error: unknown): void {
    if (error instanceof LeaseLostError) return; // the attempt ends with the lease
    this.logger.error(`A state of flow run ${live.created.id} could not be decided again: ${String(error)}`);
  }

  /**
   * When a proposal is decided, which is also when its state is entered: the pause before a retry begins where the failure
   * is. At least one microsecond after the state before, whatever the clock says.
   */
  private nextInstant(run: Run): Instant {
    const now = this.clock.now();
    return run.state && run.state.timestamp >= now ? addMicros(run.state.timestamp, 1) : now;
  }
}

function decided<R extends Run>(policy: Policy<R>, run: R, proposed: ProposedState, now: Instant): Verdict {
  const verdict = decide(policy, { run, proposed, now }, NATIVE_FACTS);
  if (verdict.kind === 'needs-facts') throw new Error(`No source for the facts ${verdict.names.join(', ')}.`);
  return verdict;
}

/** The state that a verdict leads to; `null` when the run stays where it is. */
function enteredState(verdict: Verdict, now: Instant): State | null {
  if (verdict.kind !== 'accept' && verdict.kind !== 'reject') return null;
  return verdict.state && stamped(verdict.state, now);
}

function stamped(proposed: ProposedState, now: Instant): State {
  return { ...proposed, id: newId(), timestamp: now };
}

const BLANK_RUN = {
  state: null,
  runCount: 0,
  expectedStartTime: null,
  nextScheduledStartTime: null,
  startTime: null,
  endTime: null,
  totalRunTimeUs: 0,
} as const;

/** What a caller gets whose entry was not written; without a lease that happens to entries of a leased run only. */
function lostLease(lease: RunLease | null): Error {
  return lease?.lost ?? new Error('A lease was lost that nobody held.');
}
