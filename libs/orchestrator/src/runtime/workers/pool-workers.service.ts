import { hostname } from 'node:os';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { WorkersRepository } from '../../records/work-pools/workers.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { PoolStatuses } from '../work-pools/pool-statuses.service.js';
import { WorkPools } from '../work-pools/work-pools.service.js';
import type { WorkPoolOptions } from '../work-pools/work-pool-values.js';
import { NEST_TYPE, WorkerTypes } from './worker-types.service.js';
import { WORKER_SETTINGS, type ServedPool, type WorkerSettings } from './worker-settings.js';

/** What others are told to expect: a worker is gone after three of these without a sign. */
const HEARTBEAT_SECONDS = 30;
/** More often than that, so that one that is late is no reason. */
const EVERY_MS = 20_000;
const AFTER_FAILURE_MS = 1_000;

/**
 * This process among the workers of the pools that it serves: makes pools and queues that are not there, says that it is
 * there, and that it leaves. Whether it lives is no matter of that: its runs hang on the lease of the process.
 */
@Injectable()
export class PoolWorkers implements OnApplicationBootstrap {
  private readonly logger = new Logger(PoolWorkers.name);
  /** Resolves once all of its pools know of this worker, or it has stopped. */
  readonly told: Promise<void>;
  private readonly known = new Set<string>();
  private noteTold: () => void = () => undefined;
  private readonly loop = new WakeableLoop(
    'Telling that this worker is there',
    this.logger,
    () => this.round(),
    AFTER_FAILURE_MS,
  );

  constructor(
    private readonly pools: WorkPools,
    private readonly workers: WorkersRepository,
    private readonly types: WorkerTypes,
    private readonly statuses: PoolStatuses,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly engine: EngineSettings,
    @Inject(WORKER_SETTINGS) private readonly settings: WorkerSettings | null,
  ) {
    this.told = new Promise((resolve) => (this.noteTold = resolve));
  }

  onApplicationBootstrap(): void {
    if (this.served.length === 0) return this.noteTold();
    this.process.listen({ rejoined: () => this.loop.wake() });
    this.loops.start('workers', this.loop);
  }

  /** Tells right away. */
  wake(): void {
    this.loop.wake();
  }

  /** Says that it leaves. Never rejects: whoever does not hear of it finds out by itself. */
  async stop(): Promise<void> {
    await this.loop.stop();
    this.noteTold();
    const { processId } = this.process;
    await Promise.allSettled(
      this.served.map((pool) =>
        this.transactions.run(async (tx) => {
          await this.workers.leave(tx, pool.name, this.nameIn(pool), processId);
          await this.statuses.settle(tx, pool.name);
        }),
      ),
    );
  }

  private get served(): readonly ServedPool[] {
    return this.settings?.pools ?? [];
  }

  private nameIn({ workerName }: ServedPool): string {
    return workerName ?? `${hostname()}-${this.engine.app}-${process.pid}`;
  }

  private async round(): Promise<number> {
    for (const pool of this.served) await this.tell(pool);
    this.noteTold();
    return EVERY_MS;
  }

  private async tell(pool: ServedPool): Promise<void> {
    const { name, queueNames } = pool;
    const beat = {
      poolName: name,
      name: this.nameIn(pool),
      processId: this.process.processId,
      intervalSeconds: HEARTBEAT_SECONDS,
      metadata: { host: hostname(), app: this.engine.app, pid: process.pid },
      queueNames,
    };
    for (;;) {
      if (!this.known.has(name)) await this.getToKnow(pool);
      const answer = await this.transactions.run(async (tx) => {
        const told = await this.workers.beat(tx, beat);
        if (told === 'came') await this.statuses.settle(tx, name);
        return told;
      });
      if (answer !== null) return;
      this.known.delete(name); // somebody has removed it
    }
  }

  private async getToKnow({ name, type }: ServedPool): Promise<void> {
    await this.make(name);
    const pool = await this.pools.find(name);
    if (pool) this.known.add(name);
    if (!pool || pool.type === type) return;
    this.logger.error(
      `Work pool "${name}" is of type "${pool.type}" and gives a worker of type "${type}" no runs; change option "worker.pools".`,
    );
  }

  /** Makes a pool that this process serves, and its queues, where they are not there; none that it does not serve. */
  async make(name: string): Promise<void> {
    const pool = this.served.find((one) => one.name === name);
    if (!pool) return;
    await this.pools.createIfAbsent(name, this.optionsOf(pool));
    for (const queue of pool.queueNames ?? []) await this.pools.queueIdFor(name, queue);
  }

  private optionsOf({ name, type }: ServedPool): WorkPoolOptions {
    return type === NEST_TYPE ? {} : { type, baseJobTemplate: this.types.get(type, name).baseJobTemplate };
  }
}
