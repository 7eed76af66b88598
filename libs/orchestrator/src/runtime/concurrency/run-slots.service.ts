import {
  cancelled,
  cancelling,
  isTerminal,
  pending,
  scheduled,
  StateType,
  awaitingConcurrencySlot,
  addMs,
} from '@nestor/core';
import { Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import {
  RunSlotsRepository,
  type RunOfDeployment,
  type SecuredRun,
} from '../../records/concurrency-limits/run-slots.repository.js';
import type { Look } from '../../records/looks/look.js';
import { Notifier } from '../notifications/notifier.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { HandOver } from './hand-over.service.js';

/** How many runs are woken at a time by whoever looks for those that nobody has told. */
const BATCH = 200;
/** A run of a deployment whose limit is 0 is looked at again after that. */
const CLOSED_MS = 30_000;

/**
 * Slots of flow runs: a run of a deployment with a limit begins only when it has one. One that finds none stands in line, outside
 * the queue in which runs wait to be claimed, and comes back there when it was handed a slot.
 */
@Injectable()
export class RunSlots {
  private readonly logger = new Logger('Concurrency');

  constructor(
    private readonly slots: RunSlotsRepository,
    private readonly transactions: Transactions,
    private readonly storedRuns: StoredRuns,
    private readonly closing: RunClosing,
    private readonly clock: DatabaseClock,
    private readonly notifier: Notifier,
    private readonly handOver: HandOver,
  ) {
    handOver.onRuns = (ids) => void this.wake(ids).catch((error: unknown) => this.report(error));
  }

  /**
   * Takes slots for runs that this process has claimed, and sees to those that get none: they wait, or are
   * cancelled, and are let go of.
   *
   * @returns the ids of the runs that are not to begin.
   */
  async secure(runs: readonly RunOfDeployment[]): Promise<ReadonlySet<string>> {
    const secured = await this.slots.secure(runs, this.clock.leadUs);
    const without = secured.filter(({ outcome }) => outcome !== 'granted' && outcome !== 'unlimited');
    for (const run of without) await this.turnAway(run);
    return new Set(without.map(({ id }) => id));
  }

  /**
   * Frees the slots of runs that wait to be taken: those are not to keep others from beginning. They get
   * one when they are taken.
   */
  async giveBack(runIds: readonly string[]): Promise<void> {
    this.handOver.tell(await this.transactions.single((tx) => this.slots.giveBack(tx, runIds)));
  }

  /** What is free is taken from nobody, what nobody uses is free, and who was forgotten is told. */
  async lookAfter(): Promise<void> {
    for (let idle = BATCH; idle === BATCH;) {
      const ids = await this.slots.idle(BATCH, this.clock.leadUs);
      if (ids.length > 0) {
        await this.giveBack(ids);
        this.logger.warn(`${ids.length} runs give back slots of their deployments: nobody has begun them.`);
      }
      idle = ids.length;
    }
    if (await this.slots.isAmiss()) this.handOver.tell(await this.slots.reconcile(BATCH));
    for (let woken = BATCH; woken === BATCH;) {
      const ids = await this.slots.ready(BATCH);
      await this.wake(ids);
      woken = ids.length;
    }
  }

  /** Whether there is anything to {@link lookAfter}. */
  looks(): Look[] {
    return this.slots.looksForForgotten(BATCH, this.clock.leadUs);
  }

  private async turnAway(run: SecuredRun): Promise<void> {
    const { id, limit, strategy, outcome } = run;
    if (outcome === 'too-many') {
      const scheduledTime = addMs(this.clock.now(), CLOSED_MS);
      const message = 'The concurrency limit of the deployment is 0.';
      await this.storedRuns.propose(id, awaitingConcurrencySlot({ scheduledTime, message }));
      return;
    }
    const deployment = {
      ...{ limit, collisionStrategy: strategy, slotFree: false, isInLine: outcome === 'waiting' },
      ...{ gracePeriodMs: 0, newLeaseId: id },
    };
    const { state } = await this.storedRuns.propose(id, pending(), { deployment });
    if (state && isTerminal(state.type)) await this.ended(id);
    if (outcome !== 'waiting') return;
    if (strategy === 'CANCEL_RUNNING') await this.cancelOldest(run);
    if (strategy === 'REPLACE_PENDING') await this.replaceOthers(run);
    // Its slot may have been handed to it before it was where it waits.
    const ready = await this.slots.ready(BATCH);
    if (ready.length > 0) await this.wake(ready);
  }

  private async cancelOldest({ id, deploymentId }: SecuredRun): Promise<void> {
    const [oldest] = await this.slots.holders(deploymentId);
    if (oldest === undefined) return;
    const message = `Run ${id} of the deployment takes its place.`;
    const { state } = await this.storedRuns.propose(oldest, cancelling({ message }));
    if (state && isTerminal(state.type)) await this.ended(oldest);
    this.notifier.notify(`run:${oldest}`);
  }

  private async replaceOthers({ id, deploymentId }: SecuredRun): Promise<void> {
    const waiting = await this.slots.waiting(deploymentId);
    for (const other of waiting.slice(0, Math.max(0, waiting.indexOf(id)))) {
      const state = cancelled({ message: `Run ${id} of the deployment took its place.` });
      const isWaiting = ({ row }: { row: { stateType: StateType | null; processId: string | null } }): boolean =>
        row.stateType === StateType.Scheduled && row.processId === null;
      if (await this.storedRuns.proposeOnce(other, isWaiting, state)) await this.ended(other);
    }
  }

  private async ended(flowRunId: string): Promise<void> {
    this.notifier.notify(`run:${flowRunId}`);
    await this.closing.closeWithin([flowRunId]);
  }

  /** Lets runs that have their slots be claimed. */
  private async wake(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const state = scheduled({ scheduledTime: this.clock.now(), message: 'Its deployment has a slot for it.' });
    await Promise.all(
      ids.map((id) =>
        this.storedRuns.proposeOnce(
          id,
          ({ row }) => row.stateName === 'AwaitingConcurrencySlot' && row.processId === null,
          state,
        ),
      ),
    );
    this.notifier.notify('due');
  }

  private report(error: unknown): void {
    this.logger.warn(`Runs that have slots could not be woken at once: ${String(error)}`);
  }
}
