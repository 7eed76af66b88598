import {
  awaitingResume,
  awaitingRetry,
  cancelled,
  crashed,
  dueAgain,
  type Instant,
  isTerminal,
  type ProposedState,
  StateType,
} from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import {
  FlowRunsRepository,
  type LoadedFlowRun,
  type OrphanedFlowRun,
} from '../../records/flow-runs/flow-runs.repository.js';
import { ProcessesRepository } from '../../records/processes/processes.repository.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { OrphanedTasks } from '../background/orphaned-tasks.service.js';
import { SlotKeeper } from '../concurrency/slot-keeper.service.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { DEATH_RULES } from '../leases/lease-settings.js';
import { HookDelivery } from '../hooks/hook-delivery.service.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { Notifier, topicsOf } from '../notifications/notifier.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { OverdueRuns } from './overdue-runs.service.js';
import { RunClaimer } from './run-claimer.service.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

/** How many runs of dead processes are dealt with at a time. */
const BATCH = 200;
/** Runs of processes that somebody else fenced are found after this long at the latest. */
const EVERY_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** Whoever fences a process has given its runs to others by then, or has died over it. */
const AFTER_FENCE_MS = 500;

/**
 * Takes the runs of dead processes over: first it fences the process, so that this writes nothing more, and only then
 * gives its runs to whoever claims them. Every process does so; the database decides who is first.
 */
@Injectable()
export class Sweeper implements OnApplicationBootstrap {
  private readonly logger = new Logger(Sweeper.name);
  private readonly suspects = new Set<string>();
  private mayForget = false;
  private secondLook: NodeJS.Timeout | null = null;
  private readonly loop = new WakeableLoop('Sweeping', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly rest: Rest = {
    everyMs: EVERY_MS,
    looks: () => [
      this.flowRuns.lookForOrphans(this.settings.app, this.registry.allFlowIds(), BATCH),
      ...this.orphanedTasks.looks(),
      this.taskRuns.lookForOrphans(BATCH),
      this.overdueRuns.look(),
    ],
  };

  constructor(
    private readonly registry: FlowRegistry,
    private readonly process: ProcessLease,
    private readonly processes: ProcessesRepository,
    private readonly flowRuns: FlowRunsRepository,
    private readonly taskRuns: TaskRunsRepository,
    private readonly transactions: Transactions,
    private readonly storedRuns: StoredRuns,
    private readonly closing: RunClosing,
    private readonly overdueRuns: OverdueRuns,
    private readonly clock: DatabaseClock,
    private readonly claimer: RunClaimer,
    private readonly notifier: Notifier,
    private readonly hooks: HookDelivery,
    private readonly orphanedTasks: OrphanedTasks,
    private readonly slots: SlotKeeper,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.services.has('sweeper')) return;
    this.process.listen({
      deadPeers: (ids) => {
        for (const id of ids) this.suspects.add(id);
        this.loop.wake();
      },
      notified: (payload) => {
        if (payload !== null && topicsOf(payload).includes('fenced')) this.lookLater();
      },
      rejoined: () => this.loop.wake(),
    });
    this.clock.onSkip(() => this.loop.wake());
    this.loops.start('sweeper', this.loop);
  }

  stop(): Promise<void> {
    if (this.secondLook) clearTimeout(this.secondLook);
    return this.loop.stop();
  }

  /** One look for all that is fenced meanwhile. */
  private lookLater(): void {
    this.secondLook ??= setTimeout(() => {
      this.secondLook = null;
      this.loop.wake();
    }, AFTER_FENCE_MS).unref();
  }

  private async round(): Promise<NextRound> {
    await this.fenceSuspects();
    let reassigned = 0;
    for (let batch = BATCH; batch === BATCH;) {
      const orphans = await this.flowRuns.orphaned(this.settings.app, this.registry.allFlowIds(), BATCH);
      const moved = await this.reassign(orphans);
      reassigned += moved;
      batch = moved === 0 ? 0 : orphans.length; // what others deal with at the same moment is theirs
    }
    if (reassigned > 0) {
      this.logger.warn(`${reassigned} runs of dead processes are taken over.`);
      this.claimer.wake();
      this.notifier.notify('due');
    }
    await this.orphanedTasks.takeOver();
    // After that, because nobody waits for it by the second.
    await this.endStandaloneTasks();
    await this.overdueRuns.end();
    await this.forgetFenced();
    return { pauseMs: EVERY_MS, rest: this.rest };
  }

  /** A task that was called outside any flow ends with its process: there is no run that could go on with it. */
  private async endStandaloneTasks(): Promise<void> {
    const state = crashed({ message: 'Its process died.' });
    for (let batch = BATCH; batch === BATCH;) {
      const { processId, ownLease } = this.process;
      const adopted = await this.transactions.single((tx) => this.taskRuns.adopt(tx, processId, BATCH));
      if (adopted.length > 0) await this.closing.endAdopted(adopted, state, ownLease);
      batch = adopted.length;
    }
  }

  private async fenceSuspects(): Promise<void> {
    const suspects = [...this.suspects];
    this.suspects.clear();
    if (suspects.length === 0) return;
    const { processId } = this.process;
    const fenced = await this.transactions.single((tx) => this.processes.fence(tx, suspects, processId, DEATH_RULES));
    for (const id of fenced) this.logger.warn(`Process ${id} is dead, and fenced.`);
    if (fenced.length > 0) {
      this.hooks.announce();
      this.slots.wake();
    }
    this.mayForget ||= fenced.length > 0;
  }

  /** Rows of processes that were fenced long ago; looked for when one more is. */
  private async forgetFenced(): Promise<void> {
    if (!this.mayForget) return;
    await this.transactions.single((tx) => this.processes.forgetFenced(tx, this.settings.app));
    this.mayForget = false;
  }

  /** Gives orphaned runs free; gives how many. */
  private async reassign(orphans: readonly OrphanedFlowRun[]): Promise<number> {
    const ended = orphans.filter(hasEnded);
    const open = orphans.filter((orphan) => !hasEnded(orphan));
    const waiting = open.filter(isWaiting);
    if (waiting.length > 0) {
      await this.transactions.single((tx) =>
        this.flowRuns.releaseOrphans(
          tx,
          waiting.map(({ id }) => id),
        ),
      );
    }
    const others = open.filter((orphan) => !isWaiting(orphan));
    const moves = await Promise.all(others.map((orphan) => this.move(orphan)));
    const closed = ended.length === 0 ? 0 : await this.closeWithin(ended.map(({ id }) => id));
    return waiting.length + moves.filter(Boolean).length + closed;
  }

  /** Their processes ended these runs, and died before they had ended what was within them. */
  private async closeWithin(ids: readonly string[]): Promise<number> {
    const { processId } = this.process;
    const adopted = await this.transactions.single((tx) => this.flowRuns.adoptEnded(tx, ids, processId));
    await this.closing.closeWithin(adopted);
    return adopted.length;
  }

  private async move({ id, processId, stateType }: OrphanedFlowRun): Promise<boolean> {
    const isStill = ({ row }: LoadedFlowRun): boolean => row.processId === processId && row.stateType === stateType;
    const entered = await this.storedRuns.proposeOnce(id, isStill, (found) => nextState(found, this.clock.now()));
    if (entered && isTerminal(entered)) await this.closing.closeWithin([id]);
    return entered !== null;
  }
}

function hasEnded({ stateType }: OrphanedFlowRun): boolean {
  return stateType !== null && isTerminal(stateType);
}

/** It waited for its time, or for somebody, and goes on waiting. */
function isWaiting({ stateType, wasBeginning }: OrphanedFlowRun): boolean {
  return stateType === StateType.Paused || (stateType === StateType.Scheduled && !wasBeginning);
}

/** What becomes of an open run whose process is gone, and that did not wait. */
function nextState({ run }: LoadedFlowRun, now: Instant): ProposedState {
  const interrupted = {
    scheduledTime: dueAgain(run, now),
    message: 'Its process died.',
    details: { interrupted: true },
  };
  if (run.state?.type === StateType.Cancelling) {
    return cancelled({ message: 'Its process ended while the run was being cancelled.' });
  }
  // Whoever goes on with a retry does again what failed; that the process died changes nothing about it.
  return run.state?.name === 'AwaitingRetry' ? awaitingRetry(interrupted) : awaitingResume(interrupted);
}
