import type { ProposedState, State } from '../states/state.js';

/**
 * What a rule may have to know beyond the run itself. Each is loaded only when a rule that applies names it; `null` means
 * "looked for, and not there".
 */
export interface Facts {
  /**
   * Whether the flow run can be started again: it has a deployment, or its flow is registered natively. A foreign run
   * without a deployment cannot: only the process that created it knows its code.
   */
  readonly reschedulable?: boolean;
  /** How often the flow run's deployment may run at once; `null` when the deployment is gone. */
  readonly deployment?: DeploymentConcurrency | null;
  /** Whether the lease that the current state names still holds its slot. */
  readonly leaseHeld?: boolean;
  /** Whether the client that proposes renews its leases. Those that do not know leases keep their slot without. */
  readonly clientRenewsLeases?: boolean;
  /** The latest state that is remembered under the proposal's cache key and has not expired. */
  readonly cachedState?: ProposedState | null;
  /** The flow run that the task run belongs to; `null` when it is gone. */
  readonly flowRun?: FlowRunOfTask | null;
  /** The limits on the tags of the task run; empty when none of its tags is limited. */
  readonly tagLimits?: readonly TagLimit[];
  /** A number from 0 to just under 1, drawn for this decision; what makes jitter differ from run to run. */
  readonly random?: number;
}
export type FactName = keyof Facts;

/** How many runs a deployment may have at once, and what becomes of one more. */
export interface DeploymentConcurrency {
  /** `null` for no limit. */
  readonly limit: number | null;
  /**
   * What becomes of a run that finds no slot. `ENQUEUE`: it waits. `CANCEL_NEW`: it is cancelled.
   * `CANCEL_RUNNING`: it waits, and the oldest that runs is asked to end. `REPLACE_PENDING`: it waits, and those
   * that waited before are cancelled.
   */
  readonly collisionStrategy: 'ENQUEUE' | 'CANCEL_NEW' | 'CANCEL_RUNNING' | 'REPLACE_PENDING';
  /** Whether the run stands in line, and is told when it has a slot: then it need not ask again soon. Default: it does not. */
  readonly isInLine?: boolean;
  /** How long a slot is kept for a run that has been claimed and not yet heard of; also for how long a lease is renewed. */
  readonly gracePeriodMs: number;
  /**
   * Whether a slot is free, as far as one can tell without taking it. Somebody else may be faster: when `take-deployment-slot`
   * is refused, decide again with `false`.
   */
  readonly slotFree: boolean;
  /** The id that the lease of a slot gets that this decision takes. */
  readonly newLeaseId: string;
}

export interface FlowRunOfTask {
  readonly state: Pick<State, 'type' | 'details'> | null;
  /** The current attempt. */
  readonly runCount: number;
}

/** How many task runs with a tag may be `RUNNING` at once. */
export interface TagLimit {
  readonly tag: string;
  readonly limit: number;
  /** As with a deployment: when `take-tag-slots` is refused, decide again with `false` for the limits that were full. */
  readonly slotFree: boolean;
  /** How long a slot of this limit is usually held; absent when nobody knows. */
  readonly averageOccupancyMs?: number;
}
