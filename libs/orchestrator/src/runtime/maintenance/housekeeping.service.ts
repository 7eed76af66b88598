import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ensurePartitions } from '../../persistence/migrating/migrate.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { Transactions } from '../../persistence/transactions.js';
import { TaskCacheRepository } from '../../records/task-cache/task-cache.repository.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

/** Partitions exist three weeks ahead, and an expired outcome is found by nobody: a few missed rounds do no harm. */
const EVERY_MS = 6 * 60 * 60 * 1_000;

/** Expired outcomes that are deleted at a time. */
const BATCH = 1_000;

/**
 * What is to be done now and then while a process runs on: keeping the partitions of the coming weeks in place, and deleting
 * outcomes that have expired. Every node may; the database sorts it out.
 */
@Injectable()
export class Housekeeping implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Housekeeping.name);
  private timer: NodeJS.Timeout | null = null;
  private round: Promise<void> = Promise.resolve();
  private stopping = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly cache: TaskCacheRepository,
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.services.has('housekeeping')) return;
    this.timer = setInterval(() => {
      this.round = this.clean();
    }, EVERY_MS);
    this.timer.unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    if (this.timer) clearInterval(this.timer);
    await this.round;
  }

  /** One round; never rejects. */
  async clean(): Promise<void> {
    await this.attempt('The partitions of the coming weeks could not be created', () =>
      ensurePartitions(this.dataSource, schemaOf(this.dataSource)),
    );
    await this.attempt('Expired outcomes could not be deleted', () => this.deleteExpired());
  }

  private async deleteExpired(): Promise<void> {
    let deleted = BATCH;
    while (deleted === BATCH && !this.stopping) {
      deleted = await this.transactions.single((tx) => this.cache.forgetExpired(tx, BATCH));
    }
  }

  private async attempt(problem: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.logger.error(`${problem}; trying again later. ${String(error)}`);
    }
  }
}
