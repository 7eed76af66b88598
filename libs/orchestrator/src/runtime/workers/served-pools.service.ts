import { canonicalText } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { whenTold } from '../notifications/when-told.js';
import { WorkPoolNotFoundError } from '../work-pools/work-pool-errors.js';
import { WorkPools } from '../work-pools/work-pools.service.js';
import type { BaseWorker, PoolSettings } from './base-worker.js';
import { WORKER_SETTINGS, type ServedPool, type WorkerSettings } from './worker-settings.js';
import { NEST_TYPE, WorkerTypes } from './worker-types.service.js';

/** How long a change that nobody told of may go unnoticed. */
const EVERY_MS = 10_000;
const AFTER_FAILURE_MS = 1_000;

/**
 * Knows how the pools stand that this process serves, and tells its workers when somebody changes one: told by
 * notifications, and by looking every few seconds. What a worker does about it is a matter of its own: every claim, and
 * every job, looks at what holds.
 */
@Injectable()
export class ServedPools implements OnApplicationBootstrap {
  private readonly logger = new Logger(ServedPools.name);
  private readonly loop = new WakeableLoop('Looking after pools', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly known = new Map<string, PoolSettings>();

  constructor(
    private readonly pools: WorkPools,
    private readonly types: WorkerTypes,
    private readonly process: ProcessLease,
    private readonly loops: Loops,
    @Inject(WORKER_SETTINGS) private readonly settings: WorkerSettings | null,
  ) {}

  onApplicationBootstrap(): void {
    if (this.served.length === 0) return;
    this.process.listen(whenTold('pools', () => this.loop.wake()));
    this.loops.start('pools', this.loop);
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private get served(): readonly ServedPool[] {
    return this.settings?.pools ?? [];
  }

  private async round(): Promise<number> {
    for (const pool of this.served) await this.follow(pool);
    return EVERY_MS;
  }

  private async follow(served: ServedPool): Promise<void> {
    const { name, type } = served;
    const now = await this.read(served);
    const before = this.known.get(name);
    if (!now) return void this.known.delete(name); // it is made when the worker says that it is there
    this.known.set(name, now);
    if (before && contentOf(before) === contentOf(now)) return;
    if (before) this.logger.log(`Work pool "${name}" was changed: ${changesOf(before, now).join(', ')}.`);
    if (type !== NEST_TYPE && now.pool.type === type) await this.tell(this.types.get(type, name), now);
  }

  private async read({ name, queueNames }: ServedPool): Promise<PoolSettings | null> {
    const pool = await this.pools.find(name);
    if (!pool) return null;
    try {
      const queues = await this.pools.queues(name);
      return { pool, queues: queues.filter((queue) => queueNames?.includes(queue.name) ?? true) };
    } catch (error) {
      if (error instanceof WorkPoolNotFoundError) return null; // it was removed a moment ago
      throw error;
    }
  }

  /** The code is somebody else's: its errors are no matter of the others. */
  private async tell(worker: BaseWorker, settings: PoolSettings): Promise<void> {
    try {
      await worker.poolChanged?.(settings);
    } catch (error) {
      this.logger.error(
        `Worker of type "${worker.type}" failed when it was told of "${settings.pool.name}": ${String(error)}`,
      );
    }
  }
}

/** What somebody has said of a pool and its queues: what follows from who is there is left out. */
function contentOf({ pool, queues }: PoolSettings): string | null {
  const { status: _, updated: __, ...said } = pool;
  return canonicalText({
    ...said,
    queues: queues.map(({ status: ___, lastPolled: ____, updated: _____, ...queue }) => queue),
  });
}

/** For people: what is different now. */
function changesOf(before: PoolSettings, now: PoolSettings): string[] {
  const changes = differences(before.pool, now.pool, 'it ');
  const [template, newTemplate] = [before, now].map(({ pool }) => canonicalText(pool.baseJobTemplate));
  if (template !== newTemplate) changes.push('it has another job template');
  for (const queue of now.queues) {
    const known = before.queues.find(({ id }) => id === queue.id);
    if (!known) changes.push(`queue "${queue.name}" is new`);
    else changes.push(...differences(known, queue, `queue "${queue.name}" `));
  }
  const gone = before.queues.filter((queue) => !now.queues.some(({ id }) => id === queue.id));
  changes.push(...gone.map(({ name }) => `queue "${name}" is gone`));
  return changes.length > 0 ? changes : ['what is said of it, or the order of its queues'];
}

type Switched = Pick<PoolSettings['pool'], 'isPaused' | 'concurrencyLimit'>;

function differences(before: Switched, now: Switched, subject: string): string[] {
  const changes: string[] = [];
  if (before.isPaused !== now.isPaused) changes.push(`${subject}${now.isPaused ? 'is paused' : 'goes on'}`);
  if (before.concurrencyLimit !== now.concurrencyLimit)
    changes.push(`${subject}has ${now.concurrencyLimit === null ? 'no limit' : `a limit of ${now.concurrencyLimit}`}`);
  return changes;
}
