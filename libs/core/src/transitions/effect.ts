import type { Instant } from '../time/instant.js';

/**
 * What accepting a transition changes outside the row of its run. Whoever writes the transition applies its effects in the
 * same transaction, in their order; all are safe to repeat.
 *
 * Those that take a slot may find none, because somebody was faster. Then nothing of the transition is written: it is decided
 * again, with facts that say so.
 */
export type Effect =
  /** Take a slot of the deployment's limit under a new lease; the state names the lease already. May be refused. */
  | { readonly kind: 'take-deployment-slot'; readonly leaseId: string; readonly leaseMs: number }
  /** Extend a lease so that it holds for `leaseMs` from now. Refused when it has run out meanwhile: then `leaseHeld` is false. */
  | { readonly kind: 'renew-deployment-lease'; readonly leaseId: string; readonly leaseMs: number }
  /** Let a lease never expire: its client cannot renew it. The slot is freed when the run lets go of it. */
  | { readonly kind: 'hold-deployment-slot'; readonly leaseId: string }
  /** Free the slot that the run holds of its deployment's limit, whatever its lease; nothing when it holds none. */
  | { readonly kind: 'release-deployment-slot' }
  /** Take one slot of each limit, for as long as the run is `RUNNING`, or none at all. May be refused. */
  | { readonly kind: 'take-tag-slots'; readonly tags: readonly string[] }
  /** Free all slots that the task run holds; nothing when it holds none. */
  | { readonly kind: 'release-tag-slots' }
  /** Remember the state that was entered, data included, under a key; `null`: without end. */
  | { readonly kind: 'remember-state'; readonly cacheKey: string; readonly expiresAt: Instant | null }
  /** Put the background task run into a queue of its task: retries wait apart, so that they go first. */
  | { readonly kind: 'enqueue-task'; readonly queue: 'scheduled' | 'retry' }
  /**
   * Make the task run that stands for this subflow enter the same state (see `mirroredState`), whatever its rules. Not for a
   * caller that runs in one of our processes: its engine moves that task run itself.
   */
  | { readonly kind: 'mirror-state'; readonly taskRunId: string };
