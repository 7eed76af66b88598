import { Inject, Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { ExpiredArtifactsRepository } from '../../records/retention/expired-artifacts.repository.js';
import { ExpiredLogsRepository } from '../../records/retention/expired-logs.repository.js';
import type { RetentionPass } from './retention-pass.js';
import { RETENTION_SETTINGS, type RetentionSettings } from './retention-settings.js';
import { Weeks } from './weeks.service.js';

const BATCH = 1_000;

/** Removes log lines and artifacts that are to be kept for less than their runs. */
@Injectable()
export class ExpiredPublications {
  constructor(
    private readonly logs: ExpiredLogsRepository,
    private readonly artifacts: ExpiredArtifactsRepository,
    private readonly transactions: Transactions,
    private readonly weeks: Weeks,
    @Inject(RETENTION_SETTINGS) private readonly settings: RetentionSettings,
  ) {}

  /** Gives whether nothing is left. */
  async remove(pass: RetentionPass): Promise<boolean> {
    const { logsMs, artifactsMs } = this.settings;
    const logs = logsMs === null || (await this.removeLogs(pass, logsMs));
    const artifacts = artifactsMs === null || (await this.removeArtifacts(pass, artifactsMs));
    return logs && artifacts;
  }

  private async removeLogs(pass: RetentionPass, ageMs: number): Promise<boolean> {
    const step = pass.step();
    const before = pass.before(ageMs);
    const partitions = ['log_default'];
    for (const week of await this.weeks.of('log')) {
      if (pass.isBefore(week.untilMs, ageMs) && (await this.weeks.drop(week, pass))) continue;
      if (pass.isBefore(week.fromMs, ageMs)) partitions.push(week.name);
    }
    for (const partition of partitions) {
      const isDone = await step.exhaust(BATCH, async () => {
        const removed = await this.transactions.single((tx) => this.logs.removeBefore(tx, partition, before, BATCH));
        pass.count('logs', removed);
        return removed;
      });
      if (!isDone) return false;
    }
    return true;
  }

  /**
   * Their ids are as old as their runs, and they themselves may be younger: a week goes as a whole
   * once nothing is left of it.
   */
  private async removeArtifacts(pass: RetentionPass, ageMs: number): Promise<boolean> {
    const step = pass.step();
    const partitions = ['artifact_default'];
    for (const week of await this.weeks.of('artifact')) {
      if (!pass.isBefore(week.fromMs, ageMs)) break;
      partitions.push(week.name);
    }
    for (const partition of partitions) {
      if (!(await this.removeArtifactsOf(pass, step, partition, ageMs))) return false;
    }
    await this.dropEmpty(pass, ageMs);
    return true;
  }

  private async removeArtifactsOf(
    pass: RetentionPass,
    step: ReturnType<RetentionPass['step']>,
    partition: string,
    ageMs: number,
  ): Promise<boolean> {
    const before = pass.before(ageMs);
    let after: string | null = pass.cursors[partition] ?? null;
    while (await step.goesOn()) {
      const { seen, removed, last } = await this.transactions.single((tx) =>
        this.artifacts.removeBefore(tx, partition, before, after, BATCH),
      );
      pass.count('artifacts', removed);
      step.spend(seen);
      after = seen < BATCH ? null : last;
      pass.cursors[partition] = after ?? undefined;
      if (seen < BATCH) return true;
    }
    return false;
  }

  private async dropEmpty(pass: RetentionPass, ageMs: number): Promise<void> {
    for (const week of await this.weeks.of('artifact')) {
      if (!pass.isBefore(week.untilMs, ageMs)) return;
      if (!(await this.weeks.hasRows(week.name))) await this.weeks.drop(week, pass);
    }
  }
}
