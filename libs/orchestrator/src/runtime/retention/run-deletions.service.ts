import { cancelled, forcedFlowRunPolicy, formatInstant, isTerminal, StateType } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunsRepository, type LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { UnwantedFlowRunsRepository } from '../../records/retention/unwanted-flow-runs.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { pause } from '../engine/wait-until.js';
import { Notifier } from '../notifications/notifier.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { FlowRunActiveError, FlowRunWithinAnotherError, type DeletionRefusal } from './deletion-errors.js';
import { RetentionStep } from './retention-pass.js';
import { RunRemains } from './run-remains.service.js';

/** What became of flow runs that somebody wanted to be deleted. Those that were not there are in neither list. */
export interface DeletedFlowRuns {
  /** The ids of those that are gone. */
  readonly deleted: readonly string[];
  /** Why the others are not: each is an error with a code and the id of its run. */
  readonly refused: readonly DeletionRefusal[];
}

/** How long somebody may take to end what is left within a run that has ended, and how often that is looked at. */
const CLOSES_WITHIN_MS = 5_000;
const LOOK_AGAIN_MS = 20;

/**
 * Deletes flow runs because somebody says so, with all that retention removes of them when they are old.
 *
 * Only what has ended is ever removed, and only once nobody holds it any more: so there is no lease, no slot and no place in
 * any line that could get lost with it. What waits and is held by nobody is ended first, through the same door as by a
 * cancellation; what is executed stays.
 */
@Injectable()
export class RunDeletions {
  constructor(
    private readonly flowRuns: FlowRunsRepository,
    private readonly unwanted: UnwantedFlowRunsRepository,
    private readonly remains: RunRemains,
    private readonly storedRuns: StoredRuns,
    private readonly closing: RunClosing,
    private readonly transactions: Transactions,
    private readonly notifier: Notifier,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** What is gone when this resolves is gone for good; a process that dies before leaves the rest of it to the retention. */
  async delete(flowRunIds: readonly string[]): Promise<DeletedFlowRuns> {
    const asked = [...new Set(flowRunIds)];
    const found = await this.flowRuns.loadRows(asked);
    const subflows = found.filter((one) => !isRoot(one));
    const { gone, refused } = await this.deleteRoots(found.filter(isRoot));
    for (const { row } of subflows) {
      if (!gone.has(row.id)) refused.push(new FlowRunWithinAnotherError(row.id, row.rootFlowRunId));
    }
    return { deleted: asked.filter((id) => gone.has(id)), refused };
  }

  /** Goes on until each run is gone or has a reason to stay: somebody may set one going, or end it, in between. */
  private async deleteRoots(
    roots: readonly LoadedFlowRun[],
  ): Promise<{ readonly gone: ReadonlySet<string>; readonly refused: DeletionRefusal[] }> {
    const gone = new Set<string>();
    const refused: DeletionRefusal[] = [];
    const deadline = performance.now() + CLOSES_WITHIN_MS;
    for (let left = roots; left.length > 0;) {
      await this.endWaiting(left.filter(isWaiting));
      const removed = await this.remove(left.map(({ row }) => row.id));
      for (const id of removed) gone.add(id);
      const still = await this.flowRuns.loadRows(left.map(({ row }) => row.id).filter((id) => !gone.has(id)));
      const isLate = performance.now() > deadline;
      const stays = (one: LoadedFlowRun): boolean => !isWaiting(one) && (!hasEnded(one) || isLate);
      refused.push(...still.filter(stays).map(({ row }) => new FlowRunActiveError(row.id, row.stateType)));
      left = still.filter((one) => !stays(one));
      if (left.some(hasEnded)) await pause(LOOK_AGAIN_MS); // whoever has ended it is about to let go of it
    }
    return { gone, refused };
  }

  /** What was changed in between is looked at again. Hooks are not called: nobody is to be told of what is not there any more. */
  private async endWaiting(waiting: readonly LoadedFlowRun[]): Promise<void> {
    if (waiting.length === 0) return;
    const state = cancelled({ message: 'It was deleted.' });
    const outcomes = await this.storedRuns.proposeEach(waiting, state, forcedFlowRunPolicy, { callsHooks: false });
    const ended = [...outcomes].flatMap(([id, outcome]) => (outcome === 'moved' ? [id] : []));
    await this.closing.closeWithin(ended);
    for (const id of ended) this.notifier.notify(`run:${id}`);
  }

  private async remove(ids: readonly string[]): Promise<readonly string[]> {
    const now = formatInstant(this.clock.now());
    const { ids: gone, foreign } = await this.transactions.single((tx) =>
      this.unwanted.remove(tx, this.settings.app, ids, now),
    );
    await this.remains.forgetPayloads(foreign);
    if (gone.length > 0) await this.remains.remove(RetentionStep.unbounded(), gone);
    return gone;
  }
}

function isRoot({ row }: LoadedFlowRun): boolean {
  return row.id === row.rootFlowRunId;
}

function hasEnded({ row }: LoadedFlowRun): boolean {
  return row.stateType !== null && isTerminal(row.stateType);
}

/** Whether nobody executes it, or is about to. */
function isWaiting({ row }: LoadedFlowRun): boolean {
  const { stateType, processId } = row;
  return (
    processId === null && (stateType === null || stateType === StateType.Scheduled || stateType === StateType.Paused)
  );
}
