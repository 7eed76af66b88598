import {
  flowRunPolicy,
  isTerminal,
  StateType,
  type Facts,
  type FlowRun,
  type FlowRunPolicy,
  type Instant,
  type ProposedState,
  type State,
} from '@nestor/core';
import { Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import type { FlowRunEntity } from '../../records/flow-runs/flow-run.entity.js';
import { newFlowRunOfRow, type LeaseChange, type NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import { FlowRunClaimsRepository, type ClaimedFlowRun } from '../../records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository, type LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { Hooks } from '../hooks/hooks.service.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { lostLease, type RunLease } from '../leases/run-lease.js';
import { DatabaseClock } from './database-clock.js';
import { creationEntry, decidedFlowRun, moveEntry, type Answer } from './decided.js';
import type { EntryOutcome, MoveEntry } from './journal-entry.js';
import { Journal } from './journal.js';
import { SLOT_IS_TAKEN } from './slot-is-taken.js';
import { isRoot, type LiveFlowRun } from './live-run.js';

interface ProposeOptions {
  /** The encoded outcome that belongs to the state. */
  readonly result?: string;
  /** What becomes of the lease. Default: a root run that ends releases it. */
  readonly lease?: LeaseChange;
  /** Whether a run that somebody has paused is left as it is: then the answer is that state. Default: it is not. */
  readonly unlessPaused?: boolean;
}

/**
 * Facts about runs that this process executes: whoever registered their flow can start them again, and slots were
 * taken when they were claimed.
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

  /** Keeps a value that a flow run drew; it rides along with the next flush, before whatever depends on it. */
  keepValue(live: LiveFlowRun, key: string, value: string): void {
    this.journal.rideAlongWith({
      kind: 'keep-value',
      lease: live.lease,
      value: { flowRunId: live.created.id, key, value, claim: 0 },
    });
  }

  private async written(live: LiveFlowRun, entry: MoveEntry): Promise<EntryOutcome> {
    const outcome = await this.journal.write(entry);
    if (outcome === 'written' && entry.owed) await this.hooks.endFlow(live, entry.state.state, entry.move.result);
    return outcome;
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
