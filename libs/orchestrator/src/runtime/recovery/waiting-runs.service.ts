import { addMs, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { ScheduleFillingRepository } from '../../records/deployments/schedule-filling.repository.js';
import { ScheduleTurnsRepository } from '../../records/deployments/schedule-turns.repository.js';
import { FlowRunClaimsRepository } from '../../records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { TaskClaimer } from '../background/task-claimer.service.js';
import { ActiveFlowRuns } from '../engine/active-flow-runs.js';
import { OrchestratorEngine } from '../engine/orchestrator-engine.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { ScheduleFiller } from '../scheduler/schedule-filler.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { Journal } from '../transitions/journal.js';
import { RunClaimer } from './run-claimer.service.js';

/**
 * What the runs of this application wait for, for clocks that skip time.
 *
 * @internal
 */
@Injectable()
export class WaitingRuns {
  constructor(
    private readonly engine: OrchestratorEngine,
    private readonly activeRuns: ActiveFlowRuns,
    private readonly journal: Journal,
    private readonly abilities: ProcessAbilities,
    private readonly flowRuns: FlowRunsRepository,
    private readonly claims: FlowRunClaimsRepository,
    private readonly transactions: Transactions,
    private readonly filling: ScheduleFillingRepository,
    private readonly filler: ScheduleFiller,
    private readonly turns: ScheduleTurnsRepository,
    private readonly runClaimer: RunClaimer,
    private readonly taskClaimer: TaskClaimer,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** How many calls from outside any run have not settled. */
  get activeCalls(): number {
    return this.engine.activeCalls;
  }

  /** The flow runs that this process executes. */
  executed(): { readonly id: string; readonly name: string; readonly stateName: string }[] {
    return this.activeRuns.all().map(({ live: { created, image } }) => ({
      id: created.id,
      name: created.name,
      stateName: image.state?.name ?? 'new',
    }));
  }

  /**
   * Resolves when what was to be written is written: whether nothing runs by then but what waits for a time.
   *
   * @param waits whether somebody waits on behalf of an attempt with that signal.
   */
  async onlyWait(waits: (signal: AbortSignal) => boolean): Promise<boolean> {
    await this.journal.idle();
    await new Promise((resolve) => setImmediate(resolve)); // whoever heard of it goes on first
    return !this.runClaimer.isTaking && !this.taskClaimer.isTaking && this.engine.onlyWaits(waits);
  }

  /** Whether runs are paused or suspended: those wait for somebody, not for a time. */
  areSomePaused(): Promise<boolean> {
    return this.flowRuns.areSomePaused(this.settings.app);
  }

  /** When the next run is due that nobody executes, background tasks and those of schedules included; `null` when none waits. */
  async nextDue(): Promise<Instant | null> {
    const { app } = this.settings;
    const { leadUs } = this.clock;
    const { flowIds, buildId } = this.abilities;
    // What schedules have to have made by now is made first: it may be due next.
    const fillInMs = await this.transactions.single((tx) => this.filling.nextFillInMs(tx, app, leadUs));
    if (fillInMs !== null && fillInMs <= 0) while ((await this.filler.fillSome()) > 0);
    const times = await Promise.all([
      this.claims.nextFreeInMs({ app, flowIds, buildId, leadUs }),
      this.transactions.single((tx) => this.turns.nextTurnInMs(tx, app, leadUs)),
      this.runClaimer.nextQueuedInMs(false),
      this.taskClaimer.nextDueInMs(),
    ]);
    return this.earliest(times);
  }

  /** The same without those of schedules: there is always a next one of those. */
  async nextAskedFor(): Promise<Instant | null> {
    const { app } = this.settings;
    const times = await Promise.all([
      this.flowRuns.nextAskedForInMs(app, this.abilities.flowIds, this.clock.leadUs),
      this.runClaimer.nextQueuedInMs(true),
      this.taskClaimer.nextDueInMs(),
    ]);
    return this.earliest(times);
  }

  private earliest(waits: readonly (number | null)[]): Instant | null {
    const known = waits.filter((ms) => ms !== null);
    return known.length === 0 ? null : addMs(this.clock.now(), Math.max(0, Math.min(...known)));
  }
}
