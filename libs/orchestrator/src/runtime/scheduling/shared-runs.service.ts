import { scheduled, StateType, type Instant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { SharedRunsRepository, type SharedRun } from '../../records/flow-runs/shared-runs.repository.js';
import type { LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import type { WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { WaitingFlowRunsRepository } from '../../records/flow-runs/waiting-flow-runs.repository.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { Journal } from '../transitions/journal.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import {
  ScheduledRuns,
  type ScheduledFlow,
  type ScheduledRun,
  type ScheduledRunRequest,
} from './scheduled-runs.service.js';
import type { Sharing } from './sharing.js';

/** What becomes of a call that finds a run with its key. */
type Share =
  | { readonly kind: 'join' }
  | { readonly kind: 'replace' }
  | {
      readonly kind: 'revise';
      /** `null`: as before. */
      readonly dueAt: Instant | null;
      /** Sealed. */
      readonly parameters: string;
    };

/** What became of a call: its run, and when that is due where this has changed. */
interface Shared {
  readonly run: ScheduledRun;
  readonly dueAt: Instant | null;
}

/**
 * Lets calls share runs: whoever has the key of a run decides alone, under a lock, whether to join it, to change what it is
 * called with while nobody has taken it, or to create another one.
 */
@Injectable()
export class SharedRuns {
  constructor(
    private readonly scheduledRuns: ScheduledRuns,
    private readonly storedRuns: StoredRuns,
    private readonly sharedRuns: SharedRunsRepository,
    private readonly waitingRuns: WaitingFlowRunsRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly clock: DatabaseClock,
  ) {}

  /** Gives the run of a call; durable when this resolves. */
  async create(flow: ScheduledFlow, request: ScheduledRunRequest, sharing: Sharing): Promise<ScheduledRun> {
    const waiting = await this.scheduledRuns.prepare(flow, request);
    const { parameters } = waiting.created;
    const { run } = await this.share(flow, waiting, sharing.key, (known) => {
      const share = sharing.shareOf(known, this.clock.now());
      return Promise.resolve(share.kind === 'revise' ? { ...share, parameters } : share);
    });
    return run;
  }

  /**
   * Gives the run that has a key, or makes `waiting` the one that has it.
   *
   * @param decide what becomes of the call, of the run as it is; asked while nobody can take or share that run.
   */
  async share(
    flow: ScheduledFlow,
    waiting: WaitingFlowRun,
    key: string,
    decide: (known: SharedRun) => Promise<Share>,
  ): Promise<Shared> {
    const shared = await this.journal.patiently(() =>
      this.transactions.run(async (tx) => {
        const { id } = waiting.created;
        const holder = await this.sharedRuns.lockKey(tx, flow.id, key, id);
        const known = holder === id ? null : await this.sharedRuns.lock(tx, holder);
        const share: Share = known ? await decide(known) : { kind: 'replace' };
        if (!known || share.kind === 'replace') return this.replace(tx, flow, waiting, key);
        if (share.kind === 'revise') await this.sharedRuns.revise(tx, known.id, share.parameters);
        const dueAt = share.kind === 'revise' ? share.dueAt : null;
        return { run: { id: known.id, name: known.name, isNew: false }, dueAt };
      }),
    );
    if (shared.dueAt !== null) await this.reschedule(shared.run.id, shared.dueAt);
    this.scheduledRuns.announce();
    return shared;
  }

  private async replace(tx: Tx, flow: ScheduledFlow, waiting: WaitingFlowRun, key: string): Promise<Shared> {
    const { id, name } = waiting.created;
    await this.waitingRuns.create(tx, [waiting]);
    await this.sharedRuns.giveKey(tx, flow.id, key, id);
    return { run: { id, name, isNew: true }, dueAt: null };
  }

  /** One that somebody has taken in this moment has begun with what it is called with by now: its time is no matter any more. */
  private async reschedule(flowRunId: string, scheduledTime: Instant): Promise<void> {
    const isWaiting = ({ row }: LoadedFlowRun): boolean =>
      row.stateType === StateType.Scheduled && row.processId === null && row.startTime === null;
    await this.storedRuns.proposeOnce(flowRunId, isWaiting, scheduled({ scheduledTime, message: 'Called again.' }));
  }
}
