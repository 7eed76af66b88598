import { awaitingResume, cancelled, crashed, dueAgain, StateType, type ProposedState, type State } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { RunObserver } from '../../control/run-observer.service.js';
import { LeaseLostError } from '../../leases/run-lease.js';
import type { Replay } from '../../replay/replay.js';
import type { Answer } from '../../transitions/decided.js';
import { isRoot, type LiveFlowRun, type LiveTaskRun } from '../../transitions/live-run.js';
import { RunClosing } from '../../transitions/run-closing.service.js';
import { TaskRunTransitions } from '../../transitions/task-run-transitions.service.js';
import { TransitionService } from '../../transitions/transition.service.js';
import type { ActiveFlowRun } from '../active-flow-runs.js';
import type { AttemptEnd } from '../attempt.js';
import { RunCancelledError, RunCrashedError, RunHandedBackError, RunSuspendedError } from '../engine-errors.js';
import { settledInAttempt } from '../in-attempt.js';

/** Ends flow runs here: with the outcome of an attempt, because somebody else wants it, or to go on elsewhere. */
@Injectable()
export class FlowRunEndings {
  constructor(
    private readonly transitions: TransitionService,
    private readonly taskTransitions: TaskRunTransitions,
    private readonly closing: RunClosing,
    private readonly observer: RunObserver,
  ) {}

  /**
   * Proposes what came of an attempt, once the run is not paused: by the rules only a running one is tried again.
   *
   * @throws what the caller of a run gets that ends, or leaves the process, as it waits: there it comes to the same outcome.
   */
  async conclude(active: ActiveFlowRun, state: ProposedState, result: string | null): Promise<Answer> {
    const { live, gate, whole } = active;
    for (;;) {
      while (gate.reopened) {
        if (whole.ended) throw await this.cutOff(live, active, whole.ended);
        await reopenedOrEnded(active, gate.reopened);
      }
      const answer = await this.transitions.proposeForFlowRun(live, state, {
        ...(result !== null && { result }),
        unlessPaused: true,
      });
      if (answer.state?.type !== StateType.Paused) return answer;
      // Somebody paused it a moment ago. It may have been resumed again since: the observer looks after the gate is closed.
      gate.close();
      this.observer.look(live.created.id);
    }
  }

  /** Does with a run whose body was cut off what the reason asks for; gives the error its caller gets. */
  async cutOff(live: LiveFlowRun, active: ActiveFlowRun, { kind, reason }: AttemptEnd): Promise<Error> {
    const { id } = live.created;
    switch (kind) {
      case 'lease-lost':
        return live.lease.lost ?? new LeaseLostError(id);
      case 'handed-back':
        if (isRoot(live)) await this.handBack(live, active);
        return new RunHandedBackError(id);
      case 'suspended':
        if (isRoot(live)) await this.transitions.releaseLease(live);
        return new RunSuspendedError(id);
      case 'cancelled': {
        const answer = await this.transitions.proposeForFlowRun(live, cancelled({ message: `Cancelled: ${reason}.` }));
        return this.endedOtherwise(live, answer.state);
      }
      case 'over': {
        const answer = await this.transitions.proposeForFlowRun(live, crashed({ message: `Cut off: ${reason}.` }));
        return this.endedOtherwise(live, answer.state);
      }
    }
  }

  /** Lets other processes go on with a run; one that waits for its next attempt, or is paused, stays as it is. */
  private async handBack(live: LiveFlowRun, active: ActiveFlowRun): Promise<void> {
    const waits = live.image.state?.type === StateType.Scheduled || active.gate.isClosed;
    if (waits) return this.transitions.releaseLease(live);
    const scheduledTime = dueAgain(live.image, this.transitions.now());
    const state = awaitingResume({ scheduledTime, message: 'Its process shut down.' });
    try {
      await this.transitions.proposeForFlowRun(live, state, { lease: 'revoked' });
    } catch (error) {
      // By a takeover, or by our own hand-back, whose answer got lost: either way others go on with the run.
      if (!(error instanceof LeaseLostError)) throw error;
    }
  }

  /** Runs that had begun in a process that is gone, and that the code did not ask for again. */
  async closeLeftovers(live: LiveFlowRun, replay: Replay): Promise<void> {
    const state = cancelled({ message: 'Not called again after its process had ended.' });
    const left = replay.leftUnfinished();
    for (const { created, image } of left) {
      const task: LiveTaskRun = { created, image, lease: live.lease };
      this.taskTransitions.propose(task, state, live.image.runCount).inPassing();
    }
    const calls = left.filter(({ created }) => created.taskKey.startsWith('flow:')).map(({ created }) => created.id);
    if (calls.length > 0) await this.closing.closeBelow(calls, state, live.lease);
  }

  /** What the caller of a run gets that somebody else ended, or asked to end: then this is where it does. */
  async endedOtherwise(live: LiveFlowRun, state: State | null): Promise<Error> {
    const { id } = live.created;
    if (state?.type === StateType.Cancelling) await this.transitions.proposeForFlowRun(live, cancelled());
    if (state?.type === StateType.Cancelled || state?.type === StateType.Cancelling) return new RunCancelledError(id);
    return new RunCrashedError(
      id,
      state ? `it is ${state.name}${state.message ? `: ${state.message}` : ''}.` : 'it is gone.',
    );
  }
}

/** Until then the run does nothing: a suspension need not wait for it. */
async function reopenedOrEnded({ whole }: ActiveFlowRun, reopened: Promise<void>): Promise<void> {
  const letGo = whole.hold();
  await settledInAttempt(reopened, whole);
  letGo();
}
