import { cancelled, formatInstant, StateType, type Instant } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import {
  ScheduleTurnsRepository,
  type OpenRun,
  type ScheduleWithTurn,
} from '../../records/deployments/schedule-turns.repository.js';
import { RunControl } from '../control/run-control.service.js';
import { OrchestratorEngine } from '../engine/orchestrator-engine.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { ScheduledRuns } from '../scheduling/scheduled-runs.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { ScheduleNews } from './schedule-news.service.js';
import { decideTurns, type Turns } from './turns.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

/** Between two looks at a run that others wait for, and that may be executed elsewhere. */
const BLOCKED_MS = 500;
const IDLE_MS = 4_000;
const AFTER_FAILURE_MS = 1_000;

/**
 * Gives the runs of schedules that let no two go on at once their turns, when they are due. Every process does so; the row of the
 * schedule is locked for as long as that takes.
 */
@Injectable()
export class TurnGiver implements OnApplicationBootstrap {
  private readonly logger = new Logger(TurnGiver.name);
  private readonly loop = new WakeableLoop('Giving turns', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly rest: Rest = {
    everyMs: IDLE_MS,
    looks: () => [this.turns.lookForTurn(this.settings.app, this.clock.leadUs)],
  };
  /** Schedules of which a run has ended here that others waited for. */
  private urgent = new Set<string>();
  private readonly awaited = new Set<string>();

  constructor(
    private readonly turns: ScheduleTurnsRepository,
    private readonly transactions: Transactions,
    private readonly storedRuns: StoredRuns,
    private readonly closing: RunClosing,
    private readonly control: RunControl,
    private readonly runs: ScheduledRuns,
    private readonly engine: OrchestratorEngine,
    private readonly news: ScheduleNews,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.services.has('scheduler')) return;
    this.news.listen(() => this.loop.wake());
    this.loops.start('turns', this.loop);
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<NextRound> {
    const { app } = this.settings;
    const urgent = [...this.urgent];
    this.urgent.clear();
    while (await this.giveNext(urgent));
    const dueInMs = await this.transactions.single((tx) => this.turns.nextTurnInMs(tx, app, this.clock.leadUs));
    const pauseMs = dueInMs === null ? IDLE_MS : Math.min(Math.max(dueInMs, 1), IDLE_MS);
    return { pauseMs, overdueMs: Math.max(0, -(dueInMs ?? 0)), rest: this.rest };
  }

  /** Whether there was a schedule to look at. */
  private async giveNext(urgent: string[]): Promise<boolean> {
    const { app } = this.settings;
    const { leadUs } = this.clock;
    const given = await this.transactions.run(async (tx) => {
      const schedule = await this.turns.lockNext(tx, app, urgent, leadUs);
      if (!schedule) return null;
      urgent.splice(0, urgent.length, ...urgent.filter((id) => id !== schedule.id));
      return this.give(tx, schedule, await this.turns.openRuns(tx, schedule.id, leadUs));
    });
    if (given?.isReleased) this.runs.announce();
    return given !== null;
  }

  /** What is written in between, past this transaction, holds whether or not that comes to its end. */
  private async give(
    tx: Tx,
    { id, overlap }: ScheduleWithTurn,
    open: readonly OpenRun[],
  ): Promise<{ readonly isReleased: boolean }> {
    const active = open.filter(({ awaitsTurn, stateType }) => !awaitsTurn || stateType !== StateType.Scheduled);
    const waiting = open.filter((run) => !active.includes(run) && run.isDue);
    const turns = decideTurns(
      overlap,
      active.map(({ stateType, ...run }) => ({ ...run, isEnding: stateType === StateType.Cancelling })),
      waiting.map(({ autoScheduled, ...run }) => ({ ...run, isAskedFor: !autoScheduled })),
    );
    await this.skip(turns);
    for (const run of turns.ended) await this.end(run.id, turns);
    const released = turns.released.map((run) => run.id);
    if (released.length > 0) await this.turns.release(tx, released);
    const left = waiting.length - turns.skipped.length - released.length;
    const blockers = [...active.map((run) => run.id), ...released];
    if (left > 0) this.wakeAtEnd(id, blockers);
    await this.turns.setNextTurn(tx, id, nextDue(open), left > 0 ? BLOCKED_MS : null, this.clock.leadUs);
    return { isReleased: released.length > 0 };
  }

  private async skip({ skipped, blocker }: Turns): Promise<void> {
    const why = blocker ? ` Run "${blocker.name}" of its schedule goes on.` : '';
    const state = cancelled({ name: 'Skipped', message: `It was skipped.${why}` });
    const ended = await this.storedRuns.proposeOnceForAll(
      skipped.map((run) => run.id),
      ({ row }) => row.awaitsTurn && row.stateType === StateType.Scheduled,
      () => state,
    );
    // Until then they are held by this process, and take room in their pool.
    await this.closing.closeWithin(ended);
  }

  private async end(runId: string, { blocker }: Turns): Promise<void> {
    try {
      await this.control.cancel(runId);
      this.logger.log(`Flow run ${runId} is cancelled: run "${blocker?.name}" of its schedule takes its place.`);
    } catch (error) {
      this.logger.debug(`Flow run ${runId} was to be cancelled for another of its schedule: ${String(error)}`);
    }
  }

  /** Of a run that is executed here the engine tells at once. */
  private wakeAtEnd(scheduleId: string, runIds: readonly string[]): void {
    for (const runId of runIds) {
      const end = this.awaited.has(runId) ? undefined : this.engine.endOf(runId);
      if (!end) continue;
      this.awaited.add(runId);
      void Promise.allSettled([end]).then(() => {
        this.awaited.delete(runId);
        this.urgent.add(scheduleId);
        this.loop.wake();
      });
    }
  }
}

/** When the next run is due that awaits its turn. */
function nextDue(open: readonly OpenRun[]): string | null {
  const times = open.filter(({ awaitsTurn, isDue }) => awaitsTurn && !isDue).map(({ dueAt }) => dueAt);
  const first = times.reduce<Instant | null>((least, time) => (least === null || time < least ? time : least), null);
  return first === null ? null : formatInstant(first);
}
