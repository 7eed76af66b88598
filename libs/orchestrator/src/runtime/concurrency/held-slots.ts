import type { LimitOfClaim } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import type { Labels } from '../events/event-content.js';

/** Slots that were granted to code of this process. */
export interface HeldSlots {
  readonly claimId: string;
  readonly taken: readonly LimitOfClaim[];
  /** Of each limit. */
  readonly slots: number;
  /** The process that holds them. */
  readonly processId: string;
  /** What events about them have to do with besides the limits. */
  readonly related: readonly Labels[];
  /** The events of their acquisition, by limit; `null` when nothing is said of them. */
  readonly events: ReadonlyMap<string, string> | null;
}
