import type { Transactions } from '../../persistence/transactions.js';
import type {
  ClaimedFlowRun,
  FlowRunClaimsRepository,
  ServedQueues,
} from '../../records/flow-runs/flow-run-claims.repository.js';

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

/** Where a process takes runs from, and how many of them it executes at a time. */
export abstract class Lane {
  /** How many it executes, or holds. */
  size = 0;

  constructor(readonly limit: number) {}

  /** How many more may be taken. */
  get room(): number {
    return this.limit - this.size;
  }

  /** Has a run executed that was taken; resolves when it is let go of. Never rejects. */
  abstract execute(claimed: ClaimedFlowRun, isFresh: boolean): Promise<void>;

  /** Takes up to `limit` runs that are due, the first to go first. */
  abstract claim(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]>;

  /** Milliseconds until the next one may be due; `null` when none waits. */
  abstract nextDueInMs(claimant: Claimant): Promise<number | null>;
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

  claim(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]> {
    return this.transactions.single((tx) => this.claims.claimFree(tx, { ...claimant, limit }));
  }

  nextDueInMs(claimant: Claimant): Promise<number | null> {
    return this.claims.nextFreeInMs(claimant);
  }
}

/** Runs of the queues of a pool. */
export class PoolLane extends Lane {
  constructor(
    override readonly execute: Lane['execute'],
    private readonly claims: FlowRunClaimsRepository,
    private readonly queues: ServedQueues,
    limit: number,
    private readonly prefetchMs: number,
  ) {
    super(limit);
  }

  claim(claimant: Claimant, limit: number): Promise<ClaimedFlowRun[]> {
    return this.claims.claimQueued({ ...claimant, limit }, this.queues, this.prefetchMs * 1_000);
  }

  async nextDueInMs(claimant: Claimant): Promise<number | null> {
    const ms = await this.claims.nextQueuedInMs(claimant, this.queues);
    return ms === null ? null : ms - this.prefetchMs;
  }
}
