import { awaitingResume, instantOfMs, StateType } from '@nestor/core';
import { Injectable, Logger } from '@nestjs/common';
import { RunObserver } from '../control/run-observer.service.js';
import { LeaseLostError, type RunLease } from '../leases/run-lease.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import { Notifier } from '../notifications/notifier.service.js';
import { TransitionService } from '../transitions/transition.service.js';
import { ActiveFlowRuns, type ActiveFlowRun } from './active-flow-runs.js';
import type { Attempt } from './attempt.js';
import { settledInAttempt } from './in-attempt.js';

/** Something that the body of a flow waits for, besides what it calls. */
interface Wait {
  /** The run may leave its process until then; `null` when it has to be there. */
  readonly leavesUntil: Date | null;
}

/** The waits of a root run and the runs within it. */
interface Waits {
  readonly all: Set<Wait>;
  /** Called when one of them is over. */
  changed: () => void;
  /** The attempt of the root run for which somebody looks whether it can leave. */
  leaving: Attempt | null;
}

/**
 * Lets a run that only sleeps leave its process. It waits in the database until the first of its sleeps is over, and begins again
 * then, in any process, which is no new attempt.
 */
@Injectable()
export class RunWaits {
  private readonly logger = new Logger(RunWaits.name);
  /** By the lease that a root run shares with the runs within it. */
  private readonly waits = new WeakMap<RunLease, Waits>();

  constructor(
    private readonly activeRuns: ActiveFlowRuns,
    private readonly transitions: TransitionService,
    private readonly observer: RunObserver,
    private readonly notifier: Notifier,
  ) {}

  /**
   * Notes that the body of a flow waits, until the function that is returned is called.
   *
   * @param leavesUntil the run may leave its process until then, when nothing else of it goes on; `null`: it may not.
   */
  begin({ lease, created }: LiveFlowRun, leavesUntil: Date | null): () => void {
    const waits = this.waits.get(lease) ?? { all: new Set<Wait>(), changed: () => undefined, leaving: null };
    this.waits.set(lease, waits);
    const wait: Wait = { leavesUntil };
    waits.all.add(wait);
    const root = this.activeRuns.find(created.rootFlowRunId);
    const attempt = root?.attempt ?? null;
    if (leavesUntil && root && attempt && waits.leaving !== attempt) {
      this.leaveWhenIdle(root, attempt, waits).catch((error: unknown) =>
        this.logger.warn(`Flow run ${created.rootFlowRunId} sleeps, and could not leave the process: ${String(error)}`),
      );
    }
    return () => {
      waits.all.delete(wait);
      waits.changed();
    };
  }

  private async leaveWhenIdle(root: ActiveFlowRun, attempt: Attempt, waits: Waits): Promise<void> {
    const { gate } = root;
    waits.leaving = attempt;
    while (!attempt.ended && mayLeave(waits)) {
      await settledInAttempt(attempt.idle(), attempt);
      if (gate.isClosed) await settledInAttempt(gate.passage(), attempt);
      // What has just ended may be followed by something else.
      await turn();
      await turn();
      if (attempt.ended || gate.isClosed || !attempt.isIdle) continue;
      const until = firstEnd(waits);
      if (until) await this.leave(root, until);
      else await settledInAttempt(new Promise<void>((resolve) => (waits.changed = resolve)), attempt);
    }
    if (waits.leaving === attempt) waits.leaving = null;
  }

  private async leave({ live, gate, whole }: ActiveFlowRun, until: Date): Promise<void> {
    gate.close(); // what it would still call could not be written
    const message = `Sleeping until ${until.toISOString()}.`;
    const state = awaitingResume({ scheduledTime: instantOfMs(until.getTime()), message });
    try {
      const answer = await this.transitions.proposeForFlowRun(live, state, { lease: 'revoked', unlessPaused: true });
      if (answer.state?.type === StateType.Scheduled) {
        this.notifier.notify('due'); // it may be due before anybody looks by himself
        return whole.end('it sleeps', 'suspended');
      }
    } catch (error) {
      if (!(error instanceof LeaseLostError)) throw error;
    }
    this.observer.look(live.created.id); // somebody wants something else of it
    await settledInAttempt(gate.passage(), whole);
  }
}

/** Whether one of the waits would let the run leave; others may be over by the time it is idle. */
function mayLeave({ all }: Waits): boolean {
  for (const { leavesUntil } of all) if (leavesUntil) return true;
  return false;
}

/** When the first of its sleeps is over; `null` when it has to stay. */
function firstEnd({ all }: Waits): Date | null {
  let first: Date | null = null;
  for (const { leavesUntil } of all) {
    if (!leavesUntil) return null;
    if (!first || leavesUntil < first) first = leavesUntil;
  }
  return first;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
