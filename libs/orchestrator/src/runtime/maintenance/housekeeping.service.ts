import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ensurePartitions } from '../../persistence/migrating/migrate.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { Transactions } from '../../persistence/transactions.js';
import { TaskCacheRepository } from '../../records/task-cache/task-cache.repository.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

/** Partitions exist three weeks ahead, and an expired outcome is found by nobody: a few missed rounds do no harm. */
const EVERY_MS = 6 * 60 * 60 * 1_000;
const AFTER_FAILURE_MS = 60_000;
/** Nor does an hour; one in which it fails again and again is worth a word. */
const BEHIND_MS = 60 * 60 * 1_000;

/** Expired outcomes that are deleted at a time. */
const BATCH = 1_000;

/**
 * What is to be done now and then while a process runs on: keeping the partitions of the coming weeks in place, and deleting
 * outcomes that have expired. Every node may; the database sorts it out.
 */
@Injectable()
export class Housekeeping implements OnApplicationBootstrap {
  private readonly logger = new Logger(Housekeeping.name);
  private readonly loop = new WakeableLoop('Housekeeping', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private isClean = true; // its partitions are there before an application starts
  private isStopping = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly cache: TaskCacheRepository,
    private readonly loops: Loops,
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (this.services.has('housekeeping')) this.loops.start('housekeeping', this.loop, { behindMs: BEHIND_MS });
  }

  stop(): Promise<void> {
    this.isStopping = true;
    return this.loop.stop();
  }

  /**
   * Does all of it, each part whatever becomes of the other.
   *
   * @throws what went wrong with any of them.
   */
  async clean(): Promise<void> {
    const problems = [
      await problemOf('the partitions of the coming weeks could not be created', () =>
        ensurePartitions(this.dataSource, schemaOf(this.dataSource)),
      ),
      await problemOf('expired outcomes could not be deleted', () => this.deleteExpired()),
    ].filter((problem) => problem !== null);
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  private async round(): Promise<number> {
    if (!this.isClean) await this.clean();
    this.isClean = false;
    return EVERY_MS;
  }

  private async deleteExpired(): Promise<void> {
    let deleted = BATCH;
    while (deleted === BATCH && !this.isStopping) {
      deleted = await this.transactions.single((tx) => this.cache.forgetExpired(tx, BATCH));
    }
  }
}

async function problemOf(problem: string, work: () => Promise<unknown>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    return `${problem} (${String(error)})`;
  }
}
