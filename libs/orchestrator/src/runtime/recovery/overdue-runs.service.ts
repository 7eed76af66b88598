import { cancelled, failed, StateType, type ProposedState } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import {
  FlowRunsRepository,
  type LoadedFlowRun,
  type OverdueFlowRun,
} from '../../records/flow-runs/flow-runs.repository.js';
import type { Look } from '../../records/looks/look.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Notifier } from '../notifications/notifier.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';

/** How many runs are read, and ended, at a time. */
const BATCH = 200;

/**
 * Ends runs that somebody should have ended or resumed by now, whoever has them: pauses that nobody ended in time fail, a
 * cancellation that nobody carried out is carried out. By the database's time.
 */
@Injectable()
export class OverdueRuns {
  constructor(
    private readonly flowRuns: FlowRunsRepository,
    private readonly storedRuns: StoredRuns,
    private readonly closing: RunClosing,
    private readonly notifier: Notifier,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** From the first to the last one, however many there are: none is in the way of those behind it. */
  async end(): Promise<void> {
    for (let after: OverdueFlowRun | null = null; ;) {
      const page: OverdueFlowRun[] = await this.flowRuns.overdue(this.settings.app, this.request(after));
      await this.endThose(page);
      after = page.at(-1) ?? null;
      if (page.length < BATCH) return;
    }
  }

  /** Whether there are any to {@link end}. */
  look(): Look {
    return this.flowRuns.lookForOverdue(this.settings.app, this.request(null));
  }

  private request(after: OverdueFlowRun | null): Parameters<FlowRunsRepository['overdue']>[1] {
    const { cancellationTimeoutMs: cancellingMs } = this.settings;
    return { cancellingMs, limit: BATCH, after, leadUs: this.clock.leadUs };
  }

  /** What others deal with at the same moment is theirs. */
  private async endThose(page: readonly OverdueFlowRun[]): Promise<void> {
    const stateIds = new Map(page.map(({ id, stateId }) => [id, stateId]));
    const found = await this.flowRuns.loadRows([...stateIds.keys()]);
    const still = found.filter(({ row }) => row.stateId === stateIds.get(row.id));
    const outcomes = await this.storedRuns.proposeEach(still, endOf);
    const ended = [...outcomes].flatMap(([id, outcome]) => (outcome === 'moved' ? [id] : []));
    for (const id of ended) this.notifier.notify(`run:${id}`);
    await this.closing.closeWithin(ended);
  }
}

function endOf({ row }: LoadedFlowRun): ProposedState {
  return row.stateType === StateType.Paused
    ? failed({ message: 'Nobody resumed the run in time.' })
    : cancelled({ message: 'Nobody ended the run in time.' });
}
