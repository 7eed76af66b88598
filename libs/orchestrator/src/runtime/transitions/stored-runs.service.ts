import {
  flowRunPolicy,
  forcedFlowRunPolicy,
  isTerminal,
  StateType,
  type DeploymentConcurrency,
  type Facts,
  type FlowRun,
  type FlowRunPolicy,
  type Policy,
  type ProposedState,
} from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import type { NewFlowRunInput } from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import type { LeaseChange, NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import { FlowRunsRepository, type LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import { HookDelivery } from '../hooks/hook-delivery.service.js';
import { Hooks } from '../hooks/hooks.service.js';
import type { RunLease } from '../leases/run-lease.js';
import { DatabaseClock } from './database-clock.js';
import { creationEntry, decidedFlowRun, decidedTaskRun, moveEntry, saveEntry, type Answer } from './decided.js';
import { Journal } from './journal.js';
import { SLOT_IS_TAKEN } from './slot-is-taken.js';

/** How a state is proposed for a run that is known from the database. */
interface StoredProposal {
  /** Ask only the rules that nobody gets around: see `forcedFlowRunPolicy`. */
  readonly force?: boolean | ((found: LoadedFlowRun) => boolean);
  /** Looks at the run first; what it throws ends the matter, and nothing is written. */
  readonly check?: (found: LoadedFlowRun) => void;
  /** On behalf of which root run that this process executes; by default on nobody's. */
  readonly lease?: RunLease;
  /** What the run is told if it enters that very state, written together with it. */
  readonly answer?: NewFlowRunInput;
  /** How the limit of its deployment stands. Default: it has a slot, or needs none. */
  readonly deployment?: DeploymentConcurrency;
  /** Whether hooks of the run are called for it. Default `true`. */
  readonly callsHooks?: boolean;
}

/** A run came into another state; or the rules keep it where it is; or somebody else has changed it since it was looked at. */
type ProposalOutcome = 'moved' | 'kept' | 'changed';

/**
 * The same door for runs that this process knows from the database alone: those that somebody wants something of, and those
 * of dead processes. They are compared and set on what was read; whoever executes them finds out.
 */
@Injectable()
export class StoredRuns {
  constructor(
    private readonly journal: Journal,
    private readonly clock: DatabaseClock,
    private readonly flowRuns: FlowRunsRepository,
    private readonly hooks: Hooks,
    private readonly delivery: HookDelivery,
  ) {}

  /**
   * Proposes a state for a run, as often as somebody else changes the run in between; durable when this resolves.
   *
   * @param proposed the state, or what makes one of the run as it stands.
   * @throws {FlowRunNotFoundError} when there is no run of that id.
   */
  async propose(
    flowRunId: string,
    proposed: ProposedState | ((found: LoadedFlowRun) => ProposedState),
    { force = false, check, ...how }: StoredProposal = {},
  ): Promise<Answer> {
    for (;;) {
      const found = await this.flowRuns.loadRow(flowRunId);
      if (!found) throw new FlowRunNotFoundError(flowRunId);
      check?.(found);
      const state = typeof proposed === 'function' ? proposed(found) : proposed;
      const { answer, written } = await this.decideAndWrite(
        found,
        state,
        (typeof force === 'function' ? force(found) : force) ? forcedFlowRunPolicy : flowRunPolicy,
        how,
      );
      if (written) return answer;
    }
  }

  /**
   * Proposes a state for a run once, if it still is as it was found.
   *
   * @param isStill looks at the run as it is now.
   * @param proposed the state, or what makes one of the run as it is then.
   * @param policy what alters it.
   * @returns the state the run entered; `null` when somebody else was faster.
   */
  async proposeOnce(
    flowRunId: string,
    isStill: (found: LoadedFlowRun) => boolean,
    proposed: ProposedState | ((found: LoadedFlowRun) => ProposedState),
    policy: Policy<FlowRun> = flowRunPolicy,
  ): Promise<StateType | null> {
    const found = await this.flowRuns.loadRow(flowRunId);
    if (!found || !isStill(found)) return null;
    const state = typeof proposed === 'function' ? proposed(found) : proposed;
    const { answer, written } = await this.decideAndWrite(found, state, policy);
    return written ? (answer.state?.type ?? null) : null;
  }

  /** The same for many runs, on what one statement finds of them; gives those that entered a state. */
  async proposeOnceForAll(
    flowRunIds: readonly string[],
    isStill: (found: LoadedFlowRun) => boolean,
    proposed: (found: LoadedFlowRun) => ProposedState,
    policy: Policy<FlowRun> = flowRunPolicy,
  ): Promise<readonly string[]> {
    if (flowRunIds.length === 0) return [];
    const found = (await this.flowRuns.loadRows(flowRunIds)).filter(isStill);
    const outcomes = await this.proposeEach(found, proposed, policy);
    return [...outcomes].flatMap(([id, outcome]) => (outcome === 'moved' ? [id] : []));
  }

  /** Creates a run that nobody executes yet: whoever claims it does. Durable when this resolves. */
  async create(created: NewFlowRun, policy: FlowRunPolicy, first: ProposedState): Promise<void> {
    await this.journal.write(creationEntry(created, policy, first, this.clock.now(), null));
  }

  /** Records a task run in its first and only state, as of another run. Durable when this resolves. */
  async recordTaskRun(
    created: NewTaskRun,
    proposed: ProposedState,
    result: string | null,
    flowAttempt: number,
  ): Promise<void> {
    const blank = {
      kind: 'task-run',
      id: created.id,
      flowRunId: created.flowRunId,
      flowRunRunCount: flowAttempt,
      state: null,
      runCount: 0,
      expectedStartTime: null,
      nextScheduledStartTime: null,
      startTime: null,
      endTime: null,
      totalRunTimeUs: 0,
      policy: { retries: 0, retryDelaysMs: [] },
    } as const;
    const { after } = decidedTaskRun(blank, proposed, this.clock.now(), flowAttempt);
    if (after) await this.journal.write(saveEntry(created, blank, after, null, result));
  }

  /**
   * Proposes a state for many runs, as they were found, in as few statements as for one.
   *
   * @param proposed the state, or what makes one of a run as it was found.
   * @returns what became of each, by id.
   */
  async proposeEach(
    all: readonly LoadedFlowRun[],
    proposed: ProposedState | ((found: LoadedFlowRun) => ProposedState),
    policy: Policy<FlowRun> = flowRunPolicy,
    how: Pick<StoredProposal, 'callsHooks'> = {},
  ): Promise<ReadonlyMap<string, ProposalOutcome>> {
    const outcomes = all.map(async (found): Promise<[string, ProposalOutcome]> => {
      const state = typeof proposed === 'function' ? proposed(found) : proposed;
      const { written, moved } = await this.decideAndWrite(found, state, policy, how);
      return [found.row.id, written ? (moved ? 'moved' : 'kept') : 'changed'];
    });
    return new Map(await Promise.all(outcomes));
  }

  private async decideAndWrite(
    { row, run }: LoadedFlowRun,
    proposed: ProposedState,
    policy: Policy<FlowRun>,
    { lease, answer: told, deployment = SLOT_IS_TAKEN, callsHooks = true }: StoredProposal = {},
  ): Promise<{ readonly answer: Answer; readonly written: boolean; readonly moved: boolean }> {
    const facts: Facts = { reschedulable: row.deploymentId !== null || row.buildId !== null, deployment };
    const { answer, after } = decidedFlowRun(policy, run, proposed, this.clock.now(), facts);
    if (!after) return { answer, written: true, moved: false };
    const owed = callsHooks ? this.hooks.owedByStoredRun(row, after.state) : undefined;
    const entry = moveEntry(run, after, {
      owed,
      lease: lease ?? null,
      verdict: answer.verdict,
      result: null,
      leaseChange: leaseChangeOf(after.state.type, row),
      // Whether a process holds the run was looked at as well, and may change while its state does not.
      expectedEpoch: row.leaseEpoch,
      ...(told && answer.verdict.kind === 'accept' && { answer: { ...told, stateId: after.state.id } }),
    });
    const outcome = await this.journal.write(entry);
    if (outcome === 'lease-lost') throw lease?.lost ?? new Error('A lease was lost that nobody held.');
    if (outcome === 'written' && owed) this.delivery.announce();
    return { answer, written: outcome === 'written', moved: outcome === 'written' };
  }
}

/** A run that is asked to pause or to stop is left to whoever executes it; one that ended, or is to begin anew, is not. */
function leaseChangeOf(type: StateType, { id, rootFlowRunId }: LoadedFlowRun['row']): LeaseChange {
  if (isTerminal(type)) return id === rootFlowRunId ? 'taken' : 'revoked'; // see `RunClosing.closeWithin`
  return type === StateType.Scheduled ? 'revoked' : 'kept';
}
