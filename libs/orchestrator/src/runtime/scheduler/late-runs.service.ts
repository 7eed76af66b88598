import { late, markLateFlowRunPolicy } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { FlowRunsRepository, type LateFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

// As in the contract.
const LATE_AFTER_MS = 15_000;
const EVERY_MS = 5_000;

const AFTER_FAILURE_MS = 1_000;
const BATCH = 200;

/** Says of runs that were due and that nobody has taken since that they are late. They are as due as before. */
@Injectable()
export class LateRuns implements OnApplicationBootstrap {
  private readonly loop = new WakeableLoop(
    'Looking for late runs',
    new Logger(LateRuns.name),
    () => this.round(),
    AFTER_FAILURE_MS,
  );
  private readonly rest: Rest = {
    everyMs: EVERY_MS,
    looks: () => [this.flowRuns.lookForLate(this.settings.app, this.request(null))],
  };

  constructor(
    private readonly flowRuns: FlowRunsRepository,
    private readonly storedRuns: StoredRuns,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.services.has('lateRuns')) return;
    this.clock.onSkip(() => this.loop.wake());
    this.loops.start('late-runs', this.loop);
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** From the run that has been due longest to the last one, however many there are. */
  private async round(): Promise<NextRound> {
    let after: LateFlowRun | null = null;
    for (;;) {
      const page: LateFlowRun[] = await this.flowRuns.late(this.settings.app, this.request(after));
      await this.mark(page);
      after = page.at(-1) ?? null;
      if (page.length < BATCH) return { pauseMs: EVERY_MS, rest: this.rest };
    }
  }

  private request(after: LateFlowRun | null): Parameters<FlowRunsRepository['late']>[1] {
    return { lateAfterMs: LATE_AFTER_MS, limit: BATCH, after, leadUs: this.clock.leadUs };
  }

  private async mark(page: readonly LateFlowRun[]): Promise<void> {
    const found = new Map(page.map((run) => [run.id, run]));
    await this.storedRuns.proposeOnceForAll(
      [...found.keys()],
      ({ row }) => row.stateId === found.get(row.id)?.stateId && row.processId === null,
      ({ row }) =>
        late({
          scheduledTime: row.nextScheduledStartTime ?? this.clock.now(),
          message: 'Nobody has taken the run since it was due.',
        }),
      markLateFlowRunPolicy,
    );
  }
}
