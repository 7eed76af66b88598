import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { ActiveFlowRuns } from '../engine/active-flow-runs.js';
import { OrchestratorEngine } from '../engine/orchestrator-engine.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { topicsOf } from '../notifications/notifier.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { WakeableLoop } from './wakeable-loop.js';

/** How many runs are claimed at a time. */
const CLAIM_BATCH = 50;

/** Beyond this many runs in this process, others are left to other processes, or to later. */
const MAX_ACTIVE = 1_000;

/** Without a wake-up, somebody may have let go of a run unnoticed for this long. */
const IDLE_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;

/**
 * Claims runs that wait and that nobody executes: taken over from a process that died, handed back, resumed, or tried
 * again. Only those of flows that are registered here, and of this application.
 */
@Injectable()
export class RunClaimer implements OnApplicationBootstrap {
  private readonly loop = new WakeableLoop(
    'Claiming runs',
    new Logger(RunClaimer.name),
    () => this.round(),
    AFTER_FAILURE_MS,
  );

  /** The last round failed: it may have claimed runs without knowing. */
  private mayHaveStrays = false;

  constructor(
    private readonly engine: OrchestratorEngine,
    private readonly activeRuns: ActiveFlowRuns,
    private readonly registry: FlowRegistry,
    private readonly flowRuns: FlowRunsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (this.registry.allFlowIds().length === 0) return; // nothing that could be claimed here
    this.process.listen({
      notified: (payload) => {
        if (payload === null || topicsOf(payload).includes('due')) this.loop.wake();
      },
    });
    this.clock.onSkip(() => this.loop.wake());
    this.loop.start();
  }

  /** Looks for runs right away. */
  wake(): void {
    this.loop.wake();
  }

  /** Claims nothing more; resolves when what was claimed is on its way. */
  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** Runs that were claimed by a statement whose answer got lost, or could not be read after it. */
  private async resumeStrays(processId: string): Promise<void> {
    const claimed = await this.flowRuns.claimedBy(processId);
    const strays = claimed.filter((id) => !this.activeRuns.find(id));
    await Promise.all(strays.map((id) => this.engine.resume(id)));
  }

  private async round(): Promise<number> {
    const { app } = this.settings;
    const { leadUs } = this.clock;
    const flowIds = this.registry.allFlowIds();
    const limit = Math.min(CLAIM_BATCH, MAX_ACTIVE - this.activeRuns.size);
    if (limit <= 0) return AFTER_FAILURE_MS;
    const { processId } = this.process;
    if (this.mayHaveStrays) await this.resumeStrays(processId);
    this.mayHaveStrays = true;
    const request = { processId, app, flowIds, limit, leadUs };
    const ids = await this.transactions.single((tx) => this.flowRuns.claimDue(tx, request));
    await Promise.all(ids.map((id) => this.engine.resume(id)));
    this.mayHaveStrays = false;
    if (ids.length === limit) return 0;
    const dueInMs = await this.flowRuns.nextDueInMs(app, flowIds, leadUs);
    return Math.min(Math.max(dueInMs ?? IDLE_MS, 0), IDLE_MS);
  }
}
