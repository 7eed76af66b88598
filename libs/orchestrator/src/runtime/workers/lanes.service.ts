import { Inject, Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunClaimsRepository } from '../../records/flow-runs/flow-run-claims.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { OrchestratorEngine } from '../engine/orchestrator-engine.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { BaseWorker } from './base-worker.js';
import { InfrastructureRuns } from './infrastructure-runs.service.js';
import { FreeLane, PoolLane, type Claimant, type Lane } from './lane.js';
import { WORKER_SETTINGS, type WorkerSettings } from './worker-settings.js';
import { NEST_TYPE, WorkerTypes } from './worker-types.service.js';

/** The lanes of this process, and as whom it takes runs from them. */
@Injectable()
export class Lanes {
  private lanes: readonly Lane[] = [];

  constructor(
    private readonly engine: OrchestratorEngine,
    private readonly types: WorkerTypes,
    private readonly infrastructure: InfrastructureRuns,
    private readonly claims: FlowRunClaimsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly abilities: ProcessAbilities,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(WORKER_SETTINGS) private readonly worker: WorkerSettings | null,
  ) {}

  /** Once it is known what there is to execute runs with; until then there are none. */
  open(): void {
    if (!this.worker) return;
    const { pools, unqueued, limit, prefetchMs } = this.worker;
    const here: Lane['execute'] = (claimed, isFresh) => this.engine.executeClaimed(claimed, isFresh);
    const poolLanes = pools.map(({ name, type, queueNames, limit: own }) => {
      const queues = { poolName: name, poolType: type, queueNames };
      const execute = type === NEST_TYPE ? here : this.elsewhere(this.types.get(type, name));
      return new PoolLane(execute, this.claims, queues, Math.min(own, limit), prefetchMs);
    });
    this.lanes = [...(unqueued ? [new FreeLane(here, this.claims, this.transactions, limit)] : []), ...poolLanes];
  }

  /** In the order in which they have their turns. */
  get all(): readonly Lane[] {
    return this.lanes;
  }

  /** That of the runs of no queue; `null` where this process takes none of those. */
  get free(): FreeLane | null {
    return this.lanes.find((lane) => lane instanceof FreeLane) ?? null;
  }

  get claimant(): Claimant {
    const { flowIds, buildId, pinnedFlowIds } = this.abilities;
    const { processId } = this.process;
    return { processId, app: this.settings.app, flowIds, buildId, pinnedFlowIds, leadUs: this.clock.leadUs };
  }

  /** Lets another one begin, so that none is kept out by those before it. */
  rotate(): void {
    this.lanes = [...this.lanes.slice(1), ...this.lanes.slice(0, 1)];
  }

  private elsewhere(worker: BaseWorker): Lane['execute'] {
    return (claimed) => this.infrastructure.execute(claimed, worker);
  }
}
