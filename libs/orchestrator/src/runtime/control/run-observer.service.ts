import { isTerminal, StateType } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { FlowRunsRepository, type ObservedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { ActiveFlowRuns, type ActiveFlowRun } from '../engine/active-flow-runs.js';
import { RunCancelledError, RunCrashedError } from '../engine/engine-errors.js';
import { callAfter } from '../engine/wait-until.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { isRoot } from '../transitions/live-run.js';
import { topicsOf } from '../notifications/notifier.service.js';

/** How long a change that nobody told of may go unnoticed. */
const EVERY_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** How many runs are looked at with one statement. */
const BATCH = 1_000;

/**
 * Notices what others want of the runs that this process executes: to stop, to pause, to go on. Told by notifications, and
 * by looking every few seconds while something runs.
 */
@Injectable()
export class RunObserver implements OnApplicationBootstrap {
  private readonly logger = new Logger(RunObserver.name);
  private readonly loop = new WakeableLoop('Looking after runs', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly told = new Set<string>();
  private lastLook = 0;

  constructor(
    private readonly activeRuns: ActiveFlowRuns,
    private readonly flowRuns: FlowRunsRepository,
    private readonly process: ProcessLease,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  onApplicationBootstrap(): void {
    this.process.listen({
      notified: (payload) => {
        if (payload === null)
          this.lastLook = 0; // some may have been missed
        else for (const topic of topicsOf(payload)) if (topic.startsWith('run:')) this.told.add(topic.slice(4));
        if (payload === null || this.told.size > 0) this.loop.wake();
      },
    });
    this.loops.start('observer', this.loop);
  }

  /** Somebody in this very process has changed a run. */
  look(flowRunId: string): void {
    this.told.add(flowRunId);
    this.loop.wake();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    const told = [...this.told].filter((id) => this.activeRuns.find(id));
    this.told.clear();
    const due = performance.now() - this.lastLook >= EVERY_MS;
    if (due) this.lastLook = performance.now();
    const ids = due ? this.activeRuns.all().map(({ live }) => live.created.id) : told;
    for (let first = 0; first < ids.length; first += BATCH) {
      const asked = new Map(ids.slice(first, first + BATCH).map((id) => [id, this.activeRuns.find(id)]));
      for (const row of await this.flowRuns.observed([...asked.keys()])) {
        const active = this.activeRuns.find(row.id);
        // One that has left meanwhile and was claimed anew is another one: this is how it was before.
        if (active && active !== asked.get(row.id)) this.look(row.id);
        else if (active) this.follow(active, row);
      }
    }
    return EVERY_MS;
  }

  private follow(
    active: ActiveFlowRun,
    { stateId, stateType, stateName, pauseReschedule, leaseEpoch }: ObservedFlowRun,
  ): void {
    const { live, gate } = active;
    if (isRoot(live) && leaseEpoch !== live.lease.epoch) {
      // Somebody ended it, or let it begin anew: nothing of what happens to it here is written any more.
      if (stateType === null || !isTerminal(stateType)) return live.lease.lose();
      this.abandon(active, stateType, stateName ?? stateType);
      return live.lease.lose(errorOfEnd(live.created.id, stateType, stateName ?? stateType));
    }
    if (stateId === live.image.state?.id && stateType === live.image.state.type && !gate.isClosed) return;
    switch (stateType) {
      case StateType.Cancelling:
        active.whole.wind('somebody asked for it', 'cancelled', this.graceOf(active));
        gate.open(); // calls that a pause holds up find that they are over
        break;
      case StateType.Paused:
        gate.close();
        if (pauseReschedule) void this.suspend(active);
        break;
      case StateType.Running:
      case StateType.Pending:
        gate.open();
        break;
      case StateType.Scheduled:
        break; // it waits for its next attempt
      default:
        if (stateType !== null && isTerminal(stateType)) this.abandon(active, stateType, stateName ?? stateType);
    }
  }

  /** Once what is running has ended, the run leaves the process. */
  private async suspend(active: ActiveFlowRun): Promise<void> {
    await active.attempt?.idle();
    if (active.gate.isClosed) active.whole.end('it was suspended', 'suspended');
  }

  /** Somebody ended the run, from outside: our own end of it would have been the last thing we know of it. */
  private abandon(active: ActiveFlowRun, stateType: StateType, stateName: string): void {
    const own = active.live.image.state;
    if (own && isTerminal(own.type)) return;
    this.logger.warn(
      `Flow run ${active.live.created.id} was set to ${stateName} by somebody else; it is cut off here.`,
    );
    active.whole.end(`it is ${stateName}`, stateType === StateType.Cancelled ? 'cancelled' : 'over');
  }

  /** Resolves when the grace period is over; never, when the run ends before that. */
  private graceOf({ ended }: ActiveFlowRun): Promise<void> {
    return new Promise((resolve) => {
      const callOff = callAfter(this.settings.cancelGraceMs, resolve);
      void ended.then(callOff);
    });
  }
}

/** What the caller of a run gets that somebody else ended. */
function errorOfEnd(flowRunId: string, type: StateType, name: string): Error {
  return type === StateType.Cancelled
    ? new RunCancelledError(flowRunId)
    : new RunCrashedError(flowRunId, `it is ${name}.`);
}
