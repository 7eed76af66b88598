import { Inject, Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { ExpiredArtifactsRepository } from '../../records/retention/expired-artifacts.repository.js';
import { ExpiredLogsRepository } from '../../records/retention/expired-logs.repository.js';
import { ExpiredTaskRunsRepository } from '../../records/retention/expired-task-runs.repository.js';
import type { ForeignPayload } from '../../records/retention/payload-references.js';
import { RetentionPassesRepository } from '../../records/retention/retention-passes.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { PAYLOAD_SETTINGS, type PayloadSettings } from '../payloads/payload-options.js';
import type { RetentionStep } from './retention-pass.js';

/** Rows that are removed with one statement. */
const BATCH = 1_000;

type Remains = 'taskRuns' | 'logs' | 'artifacts';

/** What hangs on flow runs that are gone: it may be too much for the statement that removed them. */
@Injectable()
export class RunRemains {
  private readonly logger = new Logger('Retention');

  constructor(
    private readonly taskRuns: ExpiredTaskRunsRepository,
    private readonly logs: ExpiredLogsRepository,
    private readonly artifacts: ExpiredArtifactsRepository,
    private readonly passes: RetentionPassesRepository,
    private readonly transactions: Transactions,
    @Inject(ENGINE_SETTINGS) private readonly engine: EngineSettings,
    @Inject(PAYLOAD_SETTINGS) private readonly payloads: PayloadSettings,
  ) {}

  /**
   * Removes task runs, log lines and artifacts of flow runs that are gone, as far as the step goes; then there is nothing to
   * be noted of them any more.
   *
   * @param count told how many rows of what were removed.
   * @returns whether nothing is left.
   */
  async remove(
    step: RetentionStep,
    gone: readonly string[],
    count: (noun: Remains, rows: number) => void = () => undefined,
  ): Promise<boolean> {
    const areTasksGone = await step.exhaust(BATCH, async () => {
      const { removed, foreign } = await this.transactions.single((tx) => this.taskRuns.removeOfGone(tx, gone, BATCH));
      count('taskRuns', removed);
      await this.forgetPayloads(foreign);
      return removed;
    });
    const exhaust = (noun: 'logs' | 'artifacts'): Promise<boolean> =>
      step.exhaust(BATCH, async () => {
        const removed = await this.transactions.single((tx) => this[noun].removeOfGone(tx, gone, BATCH));
        count(noun, removed);
        return removed;
      });
    const isAllGone = areTasksGone && (await exhaust('logs')) && (await exhaust('artifacts'));
    if (isAllGone) await this.transactions.single((tx) => this.passes.noteAllGone(tx, this.engine.app, gone));
    return isAllGone;
  }

  /** After the rows that referred to them, so that no row ever refers to what is not there. */
  async forgetPayloads(foreign: readonly ForeignPayload[]): Promise<void> {
    const { store } = this.payloads;
    for (const payload of foreign) {
      if (store?.name !== payload.store) continue; // that of another time, or of another application
      await store
        .delete(payload.key)
        .catch((error: unknown) =>
          this.logger.warn(`Payload ${payload.key} stays in store "${payload.store}": ${String(error)}`),
        );
    }
  }
}
