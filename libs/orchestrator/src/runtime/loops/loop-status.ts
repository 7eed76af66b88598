import type { Instant } from '@nestor/core';

/** What a process does again and again, and how it keeps up. */
export interface LoopStatus {
  /** Which one: `claimer`, `sweeper`, `scheduler` and so on. The same in every release. */
  readonly loop: string;
  /** What it does, in words. */
  readonly title: string;
  /** When its latest round began; `null` before the first one is over. Database time. */
  readonly lastRoundAt: Instant | null;
  /** How many milliseconds that took; `null` before the first one is over. */
  readonly lastRoundMs: number | null;
  /** What that failed with; `null` when it did not. It is tried again. */
  readonly error: string | null;
  /** For how many milliseconds what it is to do has been due at this moment; 0 while nothing is. */
  readonly lagMs: number;
  /** Since when it is behind: what is due has been so for more than 30 seconds. `null` while it is not. */
  readonly behindSince: Instant | null;
}
