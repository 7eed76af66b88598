import { StateType } from '@nestor/core';
import type { FlowRunsRepository } from '../../../records/flow-runs/flow-runs.repository.js';
import { callAfter } from '../../engine/wait-until.js';
import type { HandedLease } from '../base-worker.js';

type Observed = Awaited<ReturnType<FlowRunsRepository['observed']>>[number];

/** How a run stands that was handed over. */
type PushedState =
  /** Nobody has taken it over. */
  | 'waits'
  /** What was started for it has it. */
  | 'runs'
  /** So it has, and is to end: the run is cancelled. */
  | 'ends'
  /** It has ended, or goes on elsewhere or later. */
  | 'over'
  /** Nobody looks any more. */
  | 'left';

interface Watched {
  readonly lease: HandedLease;
  /** Gives whether that was what was waited for. */
  readonly tell: (state: PushedState) => boolean;
}

const EVERY_MS = 1_000;

/** Looks after runs that were pushed, all of them with one question a second. */
export class PushedRuns {
  private readonly watched = new Set<Watched>();
  private callOff: (() => void) | null = null;
  private isStopped = false;

  constructor(
    private readonly observe: (ids: readonly string[]) => Promise<readonly Observed[]>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** How a run stands at present. */
  async stateOf(lease: HandedLease): Promise<PushedState> {
    return stateOf(lease, (await this.observe([lease.flowRunId]))[0]);
  }

  /** Tells again and again how a run stands, until it is told that it is enough. */
  watch(lease: HandedLease, tell: Watched['tell']): void {
    if (this.isStopped) return void tell('left');
    this.watched.add({ lease, tell });
    this.lookLater();
  }

  stop(): void {
    this.isStopped = true;
    this.callOff?.();
    for (const { tell } of this.watched) tell('left');
    this.watched.clear();
  }

  private lookLater(): void {
    if (this.callOff || this.isStopped || this.watched.size === 0) return;
    this.callOff = callAfter(EVERY_MS, () => {
      void this.round().finally(() => {
        this.callOff = null;
        this.lookLater();
      });
    });
  }

  private async round(): Promise<void> {
    try {
      const rows = await this.observe([...new Set(Array.from(this.watched, ({ lease }) => lease.flowRunId))]);
      const byId = new Map(rows.map((row) => [row.id, row]));
      for (const one of this.watched) {
        if (one.tell(stateOf(one.lease, byId.get(one.lease.flowRunId)))) this.watched.delete(one);
      }
    } catch (error) {
      if (!this.isStopped) this.failed(error); // a database that is away: the next look tells
    }
  }
}

function stateOf({ epoch }: HandedLease, row: Observed | undefined): PushedState {
  if (!row || row.leaseEpoch > epoch + 1) return 'over';
  if (row.leaseEpoch === epoch) return row.stateType === StateType.Pending ? 'waits' : 'over';
  if (row.stateType === StateType.Cancelling) return 'ends';
  const isHeld =
    row.stateType === StateType.Running ||
    row.stateType === StateType.Pending ||
    (row.stateType === StateType.Paused && !row.pauseReschedule) ||
    row.stateName === 'AwaitingRetry'; // it waits in the process that executes it
  return isHeld ? 'runs' : 'over';
}
