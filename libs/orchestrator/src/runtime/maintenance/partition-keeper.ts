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

/** Partitions exist three weeks ahead, so a few missed rounds do no harm. */
const EVERY_MS = 6 * 60 * 60 * 1_000;

/** Keeps the partitions of the coming weeks in place while a process runs on. Every node may; the database sorts it out. */
@Injectable()
export class PartitionKeeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(PartitionKeeper.name);
  private timer: NodeJS.Timeout | null = null;
  private round: Promise<void> = Promise.resolve();

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.round = this.ensure();
    }, EVERY_MS);
    this.timer.unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.round;
  }

  private async ensure(): Promise<void> {
    try {
      await ensurePartitions(this.dataSource, schemaOf(this.dataSource));
    } catch (error) {
      this.logger.error(
        `The partitions of the coming weeks could not be created; trying again later. ${String(error)}`,
      );
    }
  }
}
