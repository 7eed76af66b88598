import { DEATH_RULES } from './lease-settings.js';

const SAFE_FOR_NS = BigInt(DEATH_RULES.hintMs) * 1_000_000n;

/**
 * Whether nobody else can have taken over what this process executes: the database took a heartbeat of it that is younger
 * than any by which a process counts as dead. Claims that a crash of the server swallows are another matter: see migration 0023.
 *
 * A process that was stopped for long, or whose machine stood still, does not know that it was. What it goes on with may be
 * done, and recorded, elsewhere by then; what it writes is refused, but what it does is done. So the first thing it needs is
 * to hear from the database.
 *
 * Counts from when the heartbeat was sent, by the monotonic clock (`process.hrtime`): that one is the same in all threads,
 * and goes on while a process is stopped.
 */
export class LeaseProof {
  /** For the thread that sends the heartbeats. */
  readonly shared = new SharedArrayBuffer(8);
  private readonly sentAt = new BigInt64Array(this.shared);

  /** As of now: for what is about to be sent. */
  constructor() {
    this.sentAt[0] = process.hrtime.bigint();
  }

  get holds(): boolean {
    return process.hrtime.bigint() - Atomics.load(this.sentAt, 0) < SAFE_FOR_NS;
  }
}
