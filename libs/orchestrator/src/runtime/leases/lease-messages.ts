import type { ClientConfig } from 'pg';

/** What the thread that keeps the lease is started with. */
export interface LeaseKeeperSettings {
  readonly connection: ClientConfig;
  readonly processId: string;
  /** Statements, with their parameters numbered: see `leaseStatements`. */
  readonly statements: LeaseStatements;
  /** Where notifications arrive. */
  readonly channels: readonly string[];
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  /** How long the event loop of the main thread may be busy before the heartbeat stops. */
  readonly maxStallMs: number;
  /** When the event loop of the main thread last turned, as far as it has said so: in the time of `process.hrtime.bigint()`. */
  readonly pulse: SharedArrayBuffer;
  /** Where the thread notes when it sent the last heartbeat that the database took: see `LeaseProof`. */
  readonly proof: SharedArrayBuffer;
  /** Whether sessions are known to be lent out per transaction, so that no lock can be held. */
  readonly pooled: boolean;
}

export interface LeaseStatements {
  /** Tries to take the advisory lock of the process `$1`; one row with `locked`. */
  readonly lock: string;
  /**
   * Gives the process `$1` a new heartbeat, unless it is fenced, and looks at the others. `$5` says whether it may hold its
   * lock at all. One row with `holdsLock`, which tells whether the session that sends this does; none when it is fenced.
   */
  readonly heartbeat: string;
  /** The dead among the other processes, and when the next of them may be: see `PeersRow`. */
  readonly peers: string;
  /** The parameters from `$2` on, as far as both statements have them. */
  readonly peersParameters: readonly unknown[];
}

/** The answer of {@link LeaseStatements.peers}, and of a heartbeat. */
export interface PeersRow {
  readonly dead: readonly string[];
  /** Milliseconds until another process may count as dead; `null` when there is no other. */
  readonly nextCheckMs: number | null;
}

/** What the thread tells the main thread. */
export type LeaseNews =
  /** The session is up: heartbeats are sent and notifications arrive. */
  | { readonly kind: 'connected' }
  /** The database took a heartbeat. */
  | { readonly kind: 'confirmed' }
  /** It broke and is being made anew. */
  | { readonly kind: 'disconnected'; readonly reason: string }
  /** Sessions are lent out per transaction: the lock that was taken is another session's by now. Told once. */
  | { readonly kind: 'pooled' }
  /** Somebody took this process for dead. */
  | { readonly kind: 'fenced' }
  | { readonly kind: 'dead-peers'; readonly ids: readonly string[] }
  | { readonly kind: 'notified'; readonly payload: string }
  /** The event loop of the main thread did not turn for that long. */
  | { readonly kind: 'stalled'; readonly forMs: number; readonly heartbeatsStopped: boolean };

/** What the main thread tells the thread. */
export type LeaseOrder = { readonly kind: 'stop' };
