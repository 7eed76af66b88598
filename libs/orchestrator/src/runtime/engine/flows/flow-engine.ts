import { awaitingResume, crashed, failed, isTerminal, StateType } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { ClaimedFlowRun } from '../../../records/flow-runs/flow-run-claims.repository.js';
import { ProcessLease } from '../../leases/process-lease.service.js';
import { Payloads } from '../../payloads/payloads.service.js';
import { outcomeOfRun } from '../../outcome-of-run.js';
import type { FlowDefinition } from '../../registry/definitions.js';
import type { CallEngine } from '../../registry/engine-bindings.js';
import { reasonOf, Replays, type ReplayReason } from '../../replay/replays.service.js';
import { isRoot, type LiveFlowRun } from '../../transitions/live-run.js';
import { TransitionService } from '../../transitions/transition.service.js';
import { ActiveFlowRuns } from '../active-flow-runs.js';
import { Attempt } from '../attempt.js';
import { failureMessage } from '../outcome.js';
import { PauseGate } from '../pause-gate.js';
import { currentScope } from '../run-scope.js';
import { FlowAttempts } from './flow-attempts.service.js';
import { subflowId, type FlowExecution, type SubflowCall } from './flow-execution.js';
import { FlowRunCreation } from './flow-run-creation.service.js';

/** Runs flows: new runs, those that this process has claimed, and those that the runs of others call. */
@Injectable()
export class FlowEngine {
  constructor(
    private readonly creation: FlowRunCreation,
    private readonly attempts: FlowAttempts,
    private readonly transitions: TransitionService,
    private readonly replays: Replays,
    private readonly activeRuns: ActiveFlowRuns,
    private readonly process: ProcessLease,
    private readonly payloads: Payloads,
  ) {}

  /** A run that this process has claimed. */
  adopt(claimed: ClaimedFlowRun): LiveFlowRun {
    return this.transitions.adopt(claimed);
  }

  /** Ends a claimed run that cannot be begun here. */
  async giveUp(live: LiveFlowRun, message: string): Promise<void> {
    await this.transitions.proposeForFlowRun(live, crashed({ message }));
    this.process.release(live.lease);
  }

  /** Ends a claimed run that cannot be begun anywhere, with what kept it from that. */
  async failUnbegun(live: LiveFlowRun, error: unknown): Promise<void> {
    const message = failureMessage(error);
    const state = failed({ message, details: { retriable: false } });
    const context = { runId: live.created.id, subject: `error of "${live.created.name}"` };
    try {
      const { stored } = await this.payloads.sealError(error, message, context);
      await this.transitions.proposeForFlowRun(live, state, { result: stored });
    } finally {
      this.process.release(live.lease);
    }
  }

  /**
   * Runs the flow that a tracking task run stands for; in a caller that is replayed, goes on with the run that is there.
   *
   * @returns, and throws, as {@link execute} does.
   */
  async executeSubflow(
    call: SubflowCall,
    definition: FlowDefinition,
    receiver: object,
    args: readonly unknown[],
    engine: CallEngine,
  ): Promise<unknown> {
    const { caller } = call;
    // A run that is there was begun before the caller was interrupted.
    const known =
      caller.place.replay && caller.flowRun && (await this.transitions.findSubflowRun(subflowId(call), caller.flowRun));
    if (known && isTerminal(known.row.stateType ?? StateType.Pending))
      return outcomeOfRun(known.row, known.row.result === null ? undefined : await this.replays.read(known.row.result));
    const live = known?.live ?? (await this.creation.create(definition, args, {}, call));
    const reason = known ? await this.interrupt(live) : null;
    const around = currentScope()?.attempt ?? caller.attempt;
    const execution = { live, definition, receiver, reason, isFresh: !known, outerGate: caller.place.gate };
    return this.execute(execution, engine, around);
  }

  /** Notes that a subflow run was interrupted with its root, where it was running; gives why it begins again. */
  private async interrupt(live: LiveFlowRun): Promise<ReplayReason> {
    const reason = reasonOf(live.image.state);
    if (live.image.state?.type === StateType.Scheduled) return reason;
    const state = awaitingResume({ scheduledTime: this.transitions.now(), message: 'Its process had ended.' });
    await this.transitions.proposeForFlowRun(live, state);
    return reason;
  }

  /**
   * Runs a flow to its end, retries included.
   *
   * @param around the attempt that called it; when that ends, so does this run.
   * @returns the returned value as it was recorded.
   * @throws what the body threw: the error itself, because whoever called is not replayed.
   * @throws {RunCancelledError} when somebody cancelled the run.
   * @throws {RunCrashedError} when it ended for another reason than its own code.
   * @throws {RunHandedBackError}, {@link RunSuspendedError} and {@link LeaseLostError} when it goes on elsewhere or later.
   */
  async execute(execution: FlowExecution, engine: CallEngine, around: Attempt): Promise<unknown> {
    const { live, outerGate } = execution;
    // Its own attempt within what is around it, so that this run alone can be ended.
    const whole = new Attempt(live.created.name, 1, around, live.created.id);
    const { active, remove } = this.activeRuns.add(live, new PauseGate(outerGate), whole);
    if (isRoot(live)) live.lease.onLost = (error) => whole.end(error.message, 'lease-lost');
    if (isRoot(live) && live.lease.lost) whole.end(live.lease.lost.message, 'lease-lost');
    try {
      return await this.attempts.run(execution, active, engine, whole);
    } finally {
      active.gate.open();
      whole.end('it is over');
      if (isRoot(live)) this.process.release(live.lease);
      remove();
    }
  }
}
