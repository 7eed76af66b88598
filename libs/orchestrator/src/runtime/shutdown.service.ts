import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { TaskClaimer } from './background/task-claimer.service.js';
import { LimitedTags } from './concurrency/limited-tags.service.js';
import { SlotBlocks } from './concurrency/slot-blocks.service.js';
import { SlotKeeper } from './concurrency/slot-keeper.service.js';
import { ServedDeployments } from './deployments/served-deployments.service.js';
import { RunObserver } from './control/run-observer.service.js';
import { OrchestratorEngine } from './engine/orchestrator-engine.js';
import { RunLogs } from './engine/run-logs.js';
import { EventWriter } from './events/event-writer.service.js';
import { HookCaller } from './hooks/hook-caller.service.js';
import { HookDelivery } from './hooks/hook-delivery.service.js';
import { SettledHooks } from './hooks/settled-hooks.service.js';
import { ProcessLease } from './leases/process-lease.service.js';
import { Foreman } from './maintenance/foreman.service.js';
import { Housekeeping } from './maintenance/housekeeping.service.js';
import { RunHeartbeats } from './maintenance/run-heartbeats.js';
import { Retention } from './retention/retention.service.js';
import { RunClaimer } from './recovery/run-claimer.service.js';
import { LateRuns } from './scheduler/late-runs.service.js';
import { Scheduler } from './scheduler/scheduler.service.js';
import { TurnGiver } from './scheduler/turn-giver.service.js';
import { Sweeper } from './recovery/sweeper.service.js';
import { InfrastructureRuns } from './workers/infrastructure-runs.service.js';
import { PoolWorkers } from './workers/pool-workers.service.js';
import { ServedPools } from './workers/served-pools.service.js';
import { TearDownDelivery } from './workers/tear-down-delivery.service.js';
import { Journal } from './transitions/journal.js';

/** How long the last states and log lines may take once nothing runs any more. */
const LAST_WRITES_MS = 5_000;

/**
 * Ends everything in order when the application shuts down: nothing new is claimed, what runs may end, what is left is
 * handed back, the journal is written, and last of all the lease is given up under which that is done. Always resolves.
 */
@Injectable()
export class Shutdown implements BeforeApplicationShutdown {
  constructor(
    private readonly claimer: RunClaimer,
    private readonly served: ServedDeployments,
    private readonly poolWorkers: PoolWorkers,
    private readonly servedPools: ServedPools,
    private readonly tearDowns: TearDownDelivery,
    private readonly infrastructure: InfrastructureRuns,
    private readonly taskClaimer: TaskClaimer,
    private readonly sweeper: Sweeper,
    private readonly foreman: Foreman,
    private readonly housekeeping: Housekeeping,
    private readonly heartbeats: RunHeartbeats,
    private readonly retention: Retention,
    private readonly scheduler: Scheduler,
    private readonly turnGiver: TurnGiver,
    private readonly lateRuns: LateRuns,
    private readonly observer: RunObserver,
    private readonly engine: OrchestratorEngine,
    private readonly delivery: HookDelivery,
    private readonly hooks: HookCaller,
    private readonly settledHooks: SettledHooks,
    private readonly journal: Journal,
    private readonly logs: RunLogs,
    private readonly events: EventWriter,
    private readonly process: ProcessLease,
    private readonly slots: SlotBlocks,
    private readonly slotKeeper: SlotKeeper,
    private readonly limitedTags: LimitedTags,
  ) {}

  async beforeApplicationShutdown(): Promise<void> {
    this.engine.stopAccepting();
    const nothingIsClaimed = this.claimer.stop();
    await Promise.all([
      nothingIsClaimed,
      this.served.leave(),
      this.poolWorkers.stop(),
      this.servedPools.stop(),
      this.tearDowns.stop(),
      this.taskClaimer.stop(),
      this.sweeper.stop(),
      this.slotKeeper.stop(),
      this.limitedTags.stop(),
      this.foreman.stop(),
      this.housekeeping.stop(),
      this.heartbeats.stop(),
      this.retention.stop(),
      this.scheduler.stop(),
      this.turnGiver.stop(),
      this.lateRuns.stop(),
      this.delivery.stop(),
      this.engine.drain(nothingIsClaimed),
      this.infrastructure.drain(),
      this.hooks.drain(),
    ]);
    await this.slots.close(LAST_WRITES_MS); // before the journal, by which a database that is away is waited for
    await Promise.all([
      this.observer.stop(),
      this.settledHooks.close(LAST_WRITES_MS),
      this.journal.close(LAST_WRITES_MS),
      this.logs.close(LAST_WRITES_MS),
      this.events.close(LAST_WRITES_MS),
    ]);
    await this.process.leave();
  }
}
