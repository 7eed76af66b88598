import {
  addMicros,
  advanceFlowRun,
  advanceTaskRun,
  decide,
  nativeTaskRunPolicy,
  type Facts,
  type FlowRun,
  type FlowRunPolicy,
  type Instant,
  type Policy,
  type ProposedState,
  type Run,
  type State,
  type TaskRun,
  type Verdict,
} from '@nestor/core';
import { newId } from '../../persistence/ids.js';
import type { PauseAnswer } from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import type { LeaseChange, NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import type { RunOrigin } from '../../records/flow-runs/waiting-flow-run-rows.js';
import type { NewOwedHooks } from '../../records/owed-hooks/owed-hooks.repository.js';
import type { QueueClaim } from '../../records/task-queue/task-queue-rows.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import type { RunLease } from '../leases/run-lease.js';
import type { JournalEntry } from './journal-entry.js';

// From a proposal to what the journal writes: rules decide, bookkeeping follows.

/** What a proposal led to. */
export interface Answer {
  readonly verdict: Verdict;
  /** The state the run is in now; `null` before the first one. */
  readonly state: State | null;
}

/** A run that has a state. */
type Entered<R extends Run> = R & { readonly state: State };

/** The answer, and the run after it; `null` when it stays as it is. */
interface Decided<R extends Run> {
  readonly answer: Answer;
  readonly after: Entered<R> | null;
}

/** @throws {Error} when a rule asks for a fact that is neither among `facts` nor drawn here. */
export function decidedFlowRun(
  policy: Policy<FlowRun>,
  run: FlowRun,
  proposed: ProposedState,
  clock: Instant,
  facts: Facts,
): Decided<FlowRun> {
  const now = instantOf(run, clock);
  const verdict = verdictOf(policy, run, proposed, now, facts);
  const state = enteredState(verdict, now);
  if (!state) return { answer: { verdict, state: run.state }, after: null };
  const change = verdict.kind === 'accept' || verdict.kind === 'reject' ? verdict.policy : {};
  return { answer: { verdict, state }, after: advanceFlowRun(run, state, change) as Entered<FlowRun> };
}

/**
 * @param flowRunRunCount the attempt of the flow run that the task belongs to.
 * @param policy by default that of runs which this process executes.
 */
export function decidedTaskRun(
  run: TaskRun,
  proposed: ProposedState,
  clock: Instant,
  flowRunRunCount: number,
  policy: Policy<TaskRun> = nativeTaskRunPolicy,
): Decided<TaskRun> {
  const now = instantOf(run, clock);
  const verdict = verdictOf(policy, run, proposed, now, {});
  const state = enteredState(verdict, now);
  if (!state) return { answer: { verdict, state: run.state }, after: null };
  const startsOver = verdict.kind === 'accept' && verdict.startsOver;
  const after = advanceTaskRun(run, state, flowRunRunCount, startsOver) as Entered<TaskRun>;
  return { answer: { verdict, state }, after };
}

type EntryOf<Kind extends JournalEntry['kind']> = Extract<JournalEntry, { kind: Kind }>;

/** A flow run in its first state. */
export function creationEntry(
  created: NewFlowRun,
  policy: FlowRunPolicy,
  first: ProposedState,
  clock: Instant,
  lease: RunLease | null,
): EntryOf<'create-flow-run'> {
  const run = newFlowRun(created, policy, first, clock);
  return {
    kind: 'create-flow-run',
    lease,
    creation: { created, run, claim: 0 },
    state: { runId: created.id, state: run.state, follows: null, claim: 0 },
  };
}

/** A flow run that waits, in its first state. */
export function waitingEntry(
  created: NewFlowRun,
  origin: RunOrigin,
  policy: FlowRunPolicy,
  first: ProposedState,
  clock: Instant,
): EntryOf<'create-waiting-run'> {
  const run = newFlowRun(created, policy, first, clock, origin.deploymentId);
  return { kind: 'create-waiting-run', lease: null, waiting: { created, run, origin } };
}

function newFlowRun(
  created: NewFlowRun,
  policy: FlowRunPolicy,
  first: ProposedState,
  clock: Instant,
  deploymentId: string | null = null,
): Entered<FlowRun> {
  const blank: FlowRun = {
    kind: 'flow-run',
    id: created.id,
    parentTaskRunId: created.parentTaskRunId,
    deploymentId,
    infrastructurePid: null,
    state: null,
    runCount: 0,
    expectedStartTime: null,
    nextScheduledStartTime: null,
    startTime: null,
    endTime: null,
    totalRunTimeUs: 0,
    policy,
  };
  return advanceFlowRun(blank, stamped(first, clock), {}) as Entered<FlowRun>;
}

/** The move of a flow run, compared with the state, and the epoch if there is one, that it was decided from. */
export function moveEntry(
  before: FlowRun,
  after: Entered<FlowRun>,
  {
    lease,
    result,
    leaseChange,
    expectedEpoch = null,
    owed,
    answer,
    verdict,
  }: {
    readonly lease: RunLease | null;
    readonly result: string | null;
    readonly leaseChange: LeaseChange;
    readonly expectedEpoch?: number | null;
    readonly owed?: NewOwedHooks | undefined;
    readonly answer?: PauseAnswer | undefined;
    /** What the move follows from. */
    readonly verdict: Verdict;
  },
): EntryOf<'move-flow-run'> {
  const follows = before.state?.id ?? null;
  return {
    kind: 'move-flow-run',
    lease,
    owed,
    move: {
      run: after,
      expectedStateId: follows,
      expectedEpoch,
      result,
      lease: leaseChange,
      claim: 0,
    },
    state: { runId: after.id, state: after.state, follows, claim: 0 },
    ...(answer && { answer }),
    ...(freesSlot(verdict) && { freesSlot: true }),
  };
}

function freesSlot(verdict: Verdict): boolean {
  const effects = 'effects' in verdict ? verdict.effects : [];
  return effects.some(({ kind }) => kind === 'release-deployment-slot');
}

/** A task run as it stands after a transition. */
export function saveEntry(
  created: NewTaskRun,
  before: TaskRun,
  after: Entered<TaskRun>,
  lease: RunLease | null,
  result: string | null,
  owed?: NewOwedHooks,
  queue?: QueueClaim,
): EntryOf<'save-task-run'> {
  return {
    kind: 'save-task-run',
    lease,
    owed,
    write: { created, run: after, result, brief: null, claim: 0 },
    state: { runId: after.id, state: after.state, follows: before.state?.id ?? null, claim: 0 },
    queue,
  };
}

/**
 * When a proposal is decided, which is also when its state is entered: the pause before a retry begins where the failure
 * is. At least one microsecond after the state before, whatever the clock says.
 */
function instantOf(run: Run, clock: Instant): Instant {
  return run.state && run.state.timestamp >= clock ? addMicros(run.state.timestamp, 1) : clock;
}

function verdictOf<R extends Run>(
  policy: Policy<R>,
  run: R,
  proposed: ProposedState,
  now: Instant,
  facts: Facts,
): Verdict {
  const verdict = decide(policy, { run, proposed, now }, facts);
  if (verdict.kind !== 'needs-facts') return verdict;
  if (verdict.names.some((name) => name !== 'random')) {
    throw new Error(`No source for the facts ${verdict.names.join(', ')}.`);
  }
  return verdictOf(policy, run, proposed, now, { ...facts, random: Math.random() });
}

/** The state that a verdict leads to; `null` when the run stays where it is. */
function enteredState(verdict: Verdict, now: Instant): State | null {
  if (verdict.kind !== 'accept' && verdict.kind !== 'reject') return null;
  return verdict.state && stamped(verdict.state, now);
}

function stamped({ type, name, message, details }: ProposedState, now: Instant): State {
  return { type, name, message, details, id: newId(), timestamp: now };
}
