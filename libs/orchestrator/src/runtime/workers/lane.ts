import type { Transactions } from '../../persistence/transactions.js';
import type {
  ClaimedFlowRun,
  FlowRunClaimsRepository,
  NextRun,
  ServedQueues,
} from '../../records/flow-runs/flow-run-claims.repository.js';
import type { Look } from '../../records/looks/look.js';

/** Who takes runs, and which it can execute. */
export interface Claimant {
  readonly processId: string;
  readonly app: string;
  readonly flowIds: readonly string[];
  readonly buildId: string;
  /** Those of its flows of which each run that has begun is for one build alone. */
  readonly pinnedFlowIds: readonly string[];
  /** See `DatabaseClock.leadUs`. */
  readonly leadUs: number;
}

/** Where runs wait in lines of keys there are soon more of them: for so long runs are taken in turn without asking again. */
const IN_TURN_MS = 60_000;

/** Where a process takes runs from, and how many of them it executes at a time. */
export abstract class Lane {
  /** How many it executes, or holds. */
  size = 0;
  private inTurnUntil = -Infinity;

  constructor(readonly limit: number) {}

  /** How many more may be taken. */
  get room(): number {
    return this.limit - this.size;
  }

  /** Whether runs wait in lines of keys, so that all are to be taken in turn. */
  get takesInTurn(): boolean {
    return performance.now() < this.inTurnUntil;
  }

  /** Has a run executed that was taken; resolves when it is let go of. Never rejects. */
  abstract execute(claimed: ClaimedFlowRun, isFresh: boolean): Promise<void>;

  /** Takes up to `limit` runs that are due, the first to go first. */
  claim(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]> {
    return this.takesInTurn ? this.claimInTurn(claimant, limit) : this.claimDue(claimant, limit);
  }

  /** Milliseconds until the next one may be due; `null` when none waits. */
  async nextDueInMs(claimant: Claimant): Promise<number | null> {
    const { ms, inTurn } = await this.next(claimant);
    if (inTurn) this.inTurnUntil = performance.now() + IN_TURN_MS;
    return ms;
  }

  /** {@link nextDueInMs} as a {@link Look}. */
  abstract look(claimant: Claimant): Look;

  /** Takes runs where none has a key; none where some have. */
  protected abstract claimDue(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]>;

  /** Takes runs with and without keys in turn. */
  protected abstract claimInTurn(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]>;

  protected abstract next(claimant: Claimant): Promise<NextRun>;
}

/** Runs of no queue: those that are taken over from other processes, resumed, tried again, or enqueued without saying where. */
export class FreeLane extends Lane {
  constructor(
    override readonly execute: Lane['execute'],
    private readonly claims: FlowRunClaimsRepository,
    private readonly transactions: Transactions,
    limit: number,
  ) {
    super(limit);
  }

  protected claimDue(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]> {
    return this.transactions.single((tx) => this.claims.claimFree(tx, { ...claimant, limit }));
  }

  /** Takes the run with that id, if it is one of these and due. */
  claimNamed(claimant: Claimant, flowRunId: string): Promise<ClaimedFlowRun[]> {
    return this.transactions.single((tx) => this.claims.claimNamed(tx, claimant, flowRunId));
  }

  protected claimInTurn(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]> {
    return this.claims.claimFreeInTurn({ ...claimant, limit });
  }

  protected next(claimant: Claimant): Promise<NextRun> {
    return this.claims.nextFree(claimant);
  }

  look(claimant: Claimant): Look {
    return this.claims.lookForFree(claimant);
  }
}

/** Runs of the queues of a pool. */
export class PoolLane extends Lane {
  /** Whether some waited for calls to stop, when runs were last to be taken in turn. */
  private awaitsQuiet = false;

  constructor(
    override readonly execute: Lane['execute'],
    private readonly claims: FlowRunClaimsRepository,
    private readonly queues: ServedQueues,
    limit: number,
    private readonly prefetchMs: number,
  ) {
    super(limit);
  }

  protected claimDue(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]> {
    return this.claims.claimQueued({ ...claimant, limit }, this.queues, this.prefetchMs * 1_000);
  }

  protected async claimInTurn(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]> {
    const { claims, queues, prefetchMs } = this;
    this.awaitsQuiet = prefetchMs > 0 && (await claims.areSomeAwaitingQuiet(claimant, queues, prefetchMs * 1_000));
    return claims.claimQueuedInTurn({ ...claimant, limit }, queues, this.aheadMs * 1_000);
  }

  protected async next(claimant: Claimant): Promise<NextRun> {
    const { aheadMs } = this;
    const { ms, inTurn } = await this.claims.nextQueued(claimant, this.queues, false, aheadMs * 1_000);
    return { ms: ms === null ? null : ms - aheadMs, inTurn };
  }

  look(claimant: Claimant): Look {
    return this.claims.lookForQueued(claimant, this.queues, this.aheadMs);
  }

  /** In turn, what waits for calls to stop is not told apart: all wait for their times as long as there is such a run. */
  private get aheadMs(): number {
    return this.takesInTurn && this.awaitsQuiet ? 0 : this.prefetchMs;
  }

  /**
   * Milliseconds until the next one is due; `null` when none waits.
   *
   * @param askedForOnly leaves out what schedules have made, and what has a key.
   */
  async dueInMs(claimant: Claimant, askedForOnly: boolean): Promise<number | null> {
    return (await this.claims.nextQueued(claimant, this.queues, askedForOnly)).ms;
  }
}
