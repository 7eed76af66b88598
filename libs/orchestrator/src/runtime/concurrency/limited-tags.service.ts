import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ConcurrencyLimitsRepository } from '../../records/concurrency-limits/concurrency-limits.repository.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { whenTold } from '../notifications/when-told.js';

/** How long a limit that was created elsewhere may go unnoticed when nobody tells of it. */
const EVERY_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;

/** What the name of a limit begins with that is one of a tag. */
const PREFIX = 'tag:';

/**
 * Which tags have limits, known in advance, so that task runs without any cost nothing. A tag that is not among them is not
 * limited here: of a limit that is created elsewhere that holds for the milliseconds that a notification takes, at most five
 * seconds. Of those that are among them the database decides.
 */
@Injectable()
export class LimitedTags implements OnApplicationBootstrap {
  private readonly logger = new Logger(LimitedTags.name);
  private readonly loop = new WakeableLoop(
    'Looking for limits of tags',
    this.logger,
    () => this.round(),
    AFTER_FAILURE_MS,
  );
  private readonly rest: Rest = {
    everyMs: EVERY_MS,
    looks: () => [this.limits.lookForOthersAfter(PREFIX, [...this.tags])],
  };
  private tags: ReadonlySet<string> = new Set();

  constructor(
    private readonly limits: ConcurrencyLimitsRepository,
    private readonly process: ProcessLease,
    private readonly loops: Loops,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.process.listen(whenTold('limits', () => this.loop.wake()));
    await this.refresh().catch((error: unknown) =>
      this.logger.warn(`Limits of tags are not known yet: ${String(error)}`),
    );
    this.loops.start('tag-limits', this.loop);
  }

  /** The names of the limits of tags; most have none. */
  limitsOf(tags: readonly string[]): readonly string[] {
    if (this.tags.size === 0 || tags.length === 0) return NONE;
    return tags.filter((tag) => this.tags.has(tag)).map((tag) => `${PREFIX}${tag}`);
  }

  /** Looks at once: this process has changed limits. */
  async refresh(): Promise<void> {
    this.tags = new Set(await this.limits.namesAfter(PREFIX));
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<NextRound> {
    await this.refresh();
    return { pauseMs: EVERY_MS, rest: this.rest };
  }
}

const NONE: readonly string[] = [];
