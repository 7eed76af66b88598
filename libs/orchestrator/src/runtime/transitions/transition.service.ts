import {
  addMicros,
  advanceFlowRun,
  advanceTaskRun,
  decide,
  flowRunPolicy,
  isTerminal,
  nativeTaskRunPolicy,
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
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import type { NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import { DatabaseClock } from './database-clock.js';
import type { JournalEntry } from './journal-entry.js';
import { Journal } from './journal.js';
import type { LiveFlowRun, LiveTaskRun } from './live-run.js';

/** What a proposal led to. */
export interface Answer {
  readonly verdict: Verdict;
  /** The state the run is in now; `null` before the first one. */
  readonly state: State | null;
}

interface ProposeOptions {
  /** The encoded outcome that belongs to the state. */
  readonly result?: string;
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
  ) {}

  /** Database time. */
  readonly now = (): Instant => this.clock.now();

  /** Creates a flow run in its first state; durable when this resolves. */
  async createFlowRun(created: NewFlowRun, policy: RetryPolicy, first: ProposedState): Promise<LiveFlowRun> {
    const blank: FlowRun = {
      kind: 'flow-run',
      ...BLANK_RUN,
      id: created.id,
      parentTaskRunId: created.parentTaskRunId,
      policy: { ...NO_FLOW_POLICY, ...policy },
    };
    const state = stamped(first, this.nextInstant(blank));
    const run = advanceFlowRun(blank, state, {});
    const entry = { kind: 'create-flow-run', created, run, state: { runId: run.id, state, follows: null } } as const;
    await this.journal.write(entry);
    return { created, image: run, settling: Promise.resolve() };
  }

  /** Proposes a state for a flow run and waits until the answer is durable. */
  async proposeForFlowRun(live: LiveFlowRun, proposed: ProposedState, options: ProposeOptions = {}): Promise<Answer> {
    const { answer, entry } = this.decideForFlowRun(live, proposed, options);
    if (!entry) return answer;
    return (await this.journal.write(entry)) === 'written' ? answer : this.decideAgain(live, proposed, options);
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

  /** A task run before its first state; nothing is written yet. */
  newTaskRun(created: NewTaskRun, policy: RetryPolicy): LiveTaskRun {
    const image: TaskRun = {
      kind: 'task-run',
      ...BLANK_RUN,
      id: created.id,
      flowRunId: created.flowRunId,
      flowRunRunCount: 0,
      policy,
    };
    return { created, image };
  }

  /**
   * Proposes a state for a task run. The answer is known at once, and nobody else writes the runs of our tasks.
   *
   * @param flowRunRunCount the attempt of the flow run that the task belongs to.
   * @returns the answer, and a function that writes it durably; a state that leads on need not be waited for.
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
      write: { created: live.created, run: live.image, result: result ?? null },
      state: { runId: run.id, state, follows: run.state?.id ?? null },
    };
    return {
      answer: { verdict, state },
      durable: async () => void (await this.journal.write(entry)),
      inPassing: () => this.journal.rideAlongWith(entry),
    };
  }

  private decideForFlowRun(
    live: LiveFlowRun,
    proposed: ProposedState,
    { result }: ProposeOptions,
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
        // The outcome belongs to the state it was proposed with; a retry that takes its place has none.
        move: {
          run: live.image,
          expectedStateId: run.state?.id ?? null,
          result: verdict.kind === 'accept' ? (result ?? null) : null,
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
        if (!entry || (await this.journal.write(entry)) === 'written') return answer;
      }
    });
    live.settling = again.catch(() => undefined); // whoever proposed hears of it; the next proposal starts afresh
    return again;
  }

  private lost(live: LiveFlowRun, error: unknown): void {
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

const NO_FLOW_POLICY: Omit<FlowRunPolicy, keyof RetryPolicy> = { resuming: false, pauseKeys: [], retryType: null };
