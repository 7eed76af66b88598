import { OrchestratorError } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { OrchestratorEngine } from '../engine/orchestrator-engine.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { PoolWorkers } from '../workers/pool-workers.service.js';
import { ServedPools } from '../workers/served-pools.service.js';
import { RunClaimer } from './run-claimer.service.js';

/** Somebody waits for the end of a worker that goes on until the application is closed. */
export class WorkerRunsOnError extends OrchestratorError {
  readonly code = 'WORKER_RUNS_ON';

  constructor() {
    super(
      'The worker of this process looks for runs until the application is closed, so that it is never done; set option ' +
        '"worker.runOnce" to have it look once.',
    );
  }
}

/**
 * The worker of a process with option `worker.runOnce`: it looks for runs once, executes those that it got, and is no worker
 * any more. The application itself goes on.
 *
 * @example
 * ```ts
 * const app = await NestFactory.createApplicationContext(AppModule); // with worker: { pools: ['etl'], runOnce: true }
 * await app.get(RunOnce).done();
 * await app.close();
 * ```
 */
@Injectable()
export class RunOnce {
  private readonly ended: Promise<readonly string[]> | null;

  constructor(
    claimer: RunClaimer,
    private readonly engine: OrchestratorEngine,
    private readonly poolWorkers: PoolWorkers,
    private readonly servedPools: ServedPools,
    private readonly process: ProcessLease,
    private readonly abilities: ProcessAbilities,
  ) {
    this.ended = claimer.singleLook && this.end(claimer.singleLook);
  }

  /**
   * Waits until the worker has looked, executes none of the runs any more that it took, and is `OFFLINE` in its pools. A
   * database that is away is waited for. May be called more than once.
   *
   * @returns the ids of the runs that it took. How they ended their states tell: one that failed is no error here, and one
   * that was suspended, or handed back because the application was closed, goes on elsewhere.
   * @throws {WorkerRunsOnError} when `worker.runOnce` is not set, or `worker` is `false`.
   */
  async done(): Promise<readonly string[]> {
    if (!this.ended) throw new WorkerRunsOnError();
    return this.ended;
  }

  private async end(look: Promise<readonly string[]>): Promise<readonly string[]> {
    const taken = await look;
    if (this.engine.isStopping) return taken; // then the shutdown says that it leaves
    // Who has not come yet cannot leave: it would be taken for one that is there.
    await this.poolWorkers.told;
    this.abilities.takeNothingMore();
    await Promise.all([this.poolWorkers.stop(), this.servedPools.stop(), this.process.describe()]);
    return taken;
  }
}
